//! Hashes the sources from which it follows how entries become rows, so that a rebuild knows what other code has begun.
//! Which of them these are changes too easily to be listed one by one: that too much is grown anew does no harm.

use std::{
    collections::hash_map::DefaultHasher,
    fs,
    hash::{Hash, Hasher},
    io,
    path::{Path, PathBuf},
};

/// Files, and folders with all that is in them.
const SOURCES: [&str; 3] = ["src", "../domain/src", "../infrastructure/src"];

fn main() -> io::Result<()> {
    let mut hash = DefaultHasher::new();
    for source in SOURCES {
        println!("cargo:rerun-if-changed={source}");
        take_in(Path::new(source), &mut hash)?;
    }
    println!("cargo:rustc-env=ONHAND_SOURCES={:016x}", hash.finish());
    Ok(())
}

fn take_in(path: &Path, hash: &mut DefaultHasher) -> io::Result<()> {
    if path.is_dir() {
        let entries = fs::read_dir(path)?.map(|entry| Ok(entry?.path()));
        let mut inside = entries.collect::<io::Result<Vec<PathBuf>>>()?;
        inside.sort();
        return inside.iter().try_for_each(|path| take_in(path, hash));
    }
    path.hash(hash);
    fs::read(path)?.hash(hash);
    Ok(())
}
