//! Templates that spell their resources out.

use super::*;

#[test]
fn print() {
    for file in std::fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        println!("== {name}");
        match load(&folder().join(&name), &inputs()) {
            Ok(t) => println!("{}{:#?}", table(&t), notices(&t)),
            Err(e) => println!("{e}"),
        }
    }
}
