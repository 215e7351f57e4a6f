//! Native plugins for Fingerpost: the ABI, and what a plugin in Rust is written with.
//!
//! A native plugin is a shared library that the server loads because its configuration names it. Nothing holds it: it
//! may do whatever the server may. Write a component unless that is what you need; `README.md` beside this crate says
//! more.
//!
//! ```
//! use fingerpost_native::{Answer, Outcome, Processor, export_processor};
//!
//! struct Greeter;
//!
//! impl Processor for Greeter {
//!     const MANIFEST: &'static str = r#"
//!         name = "greeter"
//!         version = "1.0.0"
//!         kind = "processor"
//!         [[codes]]
//!         code = 9001
//!         name = "GREET"
//!     "#;
//!
//!     fn handle(answer: &mut Answer<'_>, _code: i32) -> Outcome {
//!         let name = answer.required("name")?;
//!         answer.set_field("greeting", &format!("hello, {name}"));
//!         answer.set_code(0);
//!         Ok(())
//!     }
//! }
//!
//! export_processor!(Greeter);
//! ```
//!
//! The crate is a `cdylib` and must be built with `panic = "unwind"`, as it is by default: a panic is caught and fails
//! the call, where an abort would end the server. The code is entered on several threads at once, so what it keeps in a
//! `static` must be made for that.
//!
//! [`abi`] is everything that crosses; [`header`] writes it as C.
#![allow(
    unsafe_code,
    reason = "pointers cross a C ABI; every use of them is in this crate and in the server's module for it"
)]

pub mod abi;
mod answer;
mod call;
pub mod describe;
mod export;
mod header;
mod refusal;
mod view;

pub use abi::{Level, Style};
pub use answer::{Answer, Processor, Route};
pub use call::{Call, Group, Queue, Topic};
#[doc(hidden)]
pub use export::{policy, processor};
pub use header::{header, layout_check};
pub use refusal::{Error, Outcome, Refusal};
pub use view::{Policy, View};
