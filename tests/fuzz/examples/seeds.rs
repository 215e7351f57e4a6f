//! Writes the seeds of every target below the directory that the argument names, by the digest of their content.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::{env, fs, io};

use fingerpost_fuzz::seeds;

fn main() -> io::Result<()> {
    let corpus = PathBuf::from(env::args_os().nth(1).expect("usage: seeds DIRECTORY"));
    for (target, _) in seeds::TARGETS {
        let directory = corpus.join(target);
        fs::create_dir_all(&directory)?;
        for seed in seeds::of(target) {
            let mut hasher = DefaultHasher::new();
            seed.hash(&mut hasher);
            fs::write(directory.join(format!("seed-{:016x}", hasher.finish())), seed)?;
        }
    }
    Ok(())
}
