//! Writes `fingerpost_plugin.h`, and a program for a C compiler that holds that the two languages mean the same by it.

use std::fmt::Write;

use crate::abi::{SYMBOL, VERSION, declared};
use crate::describe::{Declared, Held, Shape, Signature};

const WIDTH_MAX: usize = 120;

/// The C header, as it is committed.
pub fn header() -> String {
    let mut text = String::from(
        "/* The C ABI of Fingerpost's native plugins; README.md beside this file says what it is for.\n \
         *\n \
         * Made of src/abi.rs by `cargo run -p fingerpost-native --example header`; not by hand. */\n\n\
         #ifndef FINGERPOST_PLUGIN_H\n#define FINGERPOST_PLUGIN_H\n\n\
         #include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n\n\
         #ifdef __cplusplus\nextern \"C\" {\n#endif\n\n",
    );
    writeln!(text, "/* What this header is: counts what was added at the end of the structures. */").expect("text");
    writeln!(text, "#define FINGERPOST_ABI_VERSION {VERSION}\n").expect("text");
    for declared in declared() {
        text += &declaration(&declared);
        text.push('\n');
    }
    write!(
        text,
        "/* What a library exports. It is called once, when the library is loaded. */\n\
         const fingerpost_plugin *{SYMBOL}(void);\n\n\
         /* The bytes of a text that ends with a zero. */\n\
         static inline fingerpost_bytes fingerpost_text(const char *text) {{\n    \
         fingerpost_bytes bytes;\n    \
         bytes.data = (const uint8_t *)text;\n    \
         bytes.size = strlen(text);\n    \
         return bytes;\n}}\n\n\
         #ifdef __cplusplus\n}}\n#endif\n\n#endif\n"
    )
    .expect("text");
    text
}

/// A C file that compiles when the compiler lays everything out as this crate does.
pub fn layout_check() -> String {
    let mut text = String::from("#include \"fingerpost_plugin.h\"\n\n");
    let mut hold = |what: &str, is: usize| {
        writeln!(text, "_Static_assert({what} == {is}, \"{what} is {is} in Rust\");").expect("text");
    };
    for Declared { name, shape, .. } in declared() {
        match shape {
            Shape::Struct(size, fields) => {
                hold(&format!("sizeof({name})"), size);
                for field in fields {
                    hold(&format!("offsetof({name}, {})", field.name), field.offset);
                }
            }
            Shape::Number(..) => hold(&format!("sizeof({name})"), size_of::<u32>()),
            Shape::Opaque | Shape::Function(_) => {}
        }
    }
    text
}

fn declaration(Declared { name, docs, shape }: &Declared) -> String {
    let mut text = comment("", docs);
    match shape {
        Shape::Opaque => writeln!(text, "typedef struct {name} {name};"),
        Shape::Number(number, values) => {
            text += "enum {\n";
            for value in values {
                text += &comment("    ", value.docs);
                writeln!(text, "    {} = {},", value.name, value.value).expect("text");
            }
            // The last comma is C99's, and not that of older C++.
            text.truncate(text.len() - 2);
            writeln!(text, "\n}};\ntypedef {number}{name};")
        }
        Shape::Struct(_, fields) => {
            writeln!(text, "typedef struct {name} {{").expect("text");
            for field in fields {
                text += &comment("    ", field.docs);
                text += &match &field.holds {
                    Held::Value(of) => format!("    {of}{};\n", field.name),
                    Held::Function(signature) => {
                        function(&format!("    {}(*{})", signature.returns, field.name), signature)
                    }
                };
            }
            writeln!(text, "}} {name};")
        }
        Shape::Function(signature) => {
            text += &function(&format!("typedef {}{name}", signature.returns), signature);
            Ok(())
        }
    }
    .expect("text");
    text
}

fn function(head: &str, Signature { takes, .. }: &Signature) -> String {
    let takes: Vec<_> = takes.iter().map(|(of, name)| format!("{of}{name}")).collect();
    let line = format!("{head}({});\n", takes.join(", "));
    if line.len() <= WIDTH_MAX {
        return line;
    }
    let (last, first) = takes.split_last().expect("what takes nothing is short");
    format!("{head}({},\n        {last});\n", first.join(", "))
}

/// The lines of a doc comment.
fn comment(indent: &str, docs: &[&str]) -> String {
    let plain = |line: &&str| line.trim_end().replace('`', "");
    let lines: Vec<_> = docs.iter().map(plain).collect();
    format!("{indent}/*{} */\n", lines.join(&format!("\n{indent} *")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_header_is_that_of_the_crate() {
        let committed = include_str!("../fingerpost_plugin.h");

        assert!(header() == committed, "`cargo run -p fingerpost-native --example header` makes fingerpost_plugin.h");
    }

    #[test]
    fn every_field_has_a_name_a_type_and_a_comment_in_c() {
        let header = header();

        assert!(header.contains("    const fingerpost_group *items;\n"), "{header}");
        let field = "    fingerpost_status (*request_field)(fingerpost_call *call, fingerpost_bytes name, \
                     fingerpost_bytes *value);\n";
        assert!(header.contains(field), "{header}");
        assert!(header.lines().all(|line| line.chars().count() <= WIDTH_MAX && line.is_ascii()), "{header}");
        assert!(!header.contains("/* */"), "{header}");
    }
}
