//! Makes cargo look at the migrations again when one is added: they are compiled into the program.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
