//! The contract in `wit/`, as Rust. Generated here once, so that every plugin has the same types.
#![allow(
    missing_docs,
    unsafe_code,
    clippy::undocumented_unsafe_blocks,
    reason = "generated code; what the contract documents is documented, the glue is not"
)]

#[cfg(feature = "processor")]
pub mod processor {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "request-processor",
        pub_export_macro: true,
        export_macro_name: "export_request_processor",
        default_bindings_module: "fingerpost_sdk::bindings::processor",
        runtime_path: "fingerpost_sdk::bindings::rt",
    });
}

#[cfg(feature = "processor")]
pub mod glance {
    // What `glancing-processor` has beyond `request-processor`; a component may be made of several worlds.
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package fingerpost:sdk;
            world glance {
                export fingerpost:nameserver/glance@0.1.1;
            }
        ",
        world: "fingerpost:sdk/glance",
        pub_export_macro: true,
        export_macro_name: "export_glance",
        default_bindings_module: "fingerpost_sdk::bindings::glance",
        runtime_path: "fingerpost_sdk::bindings::rt",
    });
}

#[cfg(feature = "policy")]
pub mod policy {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "route-selector",
        pub_export_macro: true,
        export_macro_name: "export_route_selector",
        default_bindings_module: "fingerpost_sdk::bindings::policy",
        runtime_path: "fingerpost_sdk::bindings::rt",
    });
}

#[cfg(any(feature = "processor", feature = "policy"))]
pub use wit_bindgen::rt;
