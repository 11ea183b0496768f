//! Embeds a fingerprint of the sources, so that `install.py` can tell whether a compiled package is theirs.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let mut files: Vec<String> =
        ["Cargo.toml", "Cargo.lock", "build.rs"].iter().map(ToString::to_string).collect();
    collect(&root, "src", &mut files)?;
    files.sort();
    let mut hash = 0xcbf2_9ce4_8422_2325;
    for file in &files {
        println!("cargo:rerun-if-changed={file}");
        hash = fnv1a(hash, file.as_bytes());
        let text = fs::read(root.join(file))?;
        // A checkout on Windows may have other line ends.
        let lines: Vec<u8> = text.into_iter().filter(|byte| *byte != b'\r').collect();
        hash = fnv1a(hash, &lines);
    }
    println!("cargo:rerun-if-changed=src");
    println!("cargo:rustc-env=SONAR_SOURCE=sonar-source:{hash:016x}");
    Ok(())
}

/// All Rust files below `folder`, as paths from the root with forward slashes.
fn collect(root: &Path, folder: &str, files: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name();
        let path = format!("{folder}/{}", name.to_string_lossy());
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else if Path::new(&name).extension().is_some_and(|ending| ending == "rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// FNV-1a, 64 bits.
fn fnv1a(hash: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(hash, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
