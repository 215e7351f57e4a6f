//! Prints `fingerpost_plugin.h`.

fn main() {
    print!("{}", fingerpost_native::header());
}
