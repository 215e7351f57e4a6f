//! Loading a library, and believing what it says of itself.

use std::fs::{self, File};
use std::io::{self, Write};
use std::mem::ManuallyDrop;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use fingerpost_native::abi::{self, Enter, SYMBOL, VERSION};
use libloading::os::unix::{Library as Loaded, RTLD_LOCAL, RTLD_NOW};
use object::Endianness;
use object::elf::FileHeader64;
use object::read::elf::{FileHeader, ProgramHeader};

use crate::plugin::place;

/// A manifest is text of people; no more than this is copied.
const MANIFEST_SIZE_MAX: usize = 1 << 20;

/// Why a library cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum LoadError {
    /// There is no place for a copy that nobody else can change.
    #[error(
        "it is loaded from a private copy, which cannot be made in {dir}: {source}; `plugins.cache-dir` can be another"
    )]
    Copy {
        /// Where the copy should be.
        dir: String,
        /// What the system says.
        source: io::Error,
    },
    /// The system's loader does not take it.
    #[error("it is no library that this system loads: {0}")]
    Load(String),
    /// It loads, and is something else.
    #[error(
        "it does not export `{SYMBOL}`, which the libraries of this server's ABI do (plugins/native-abi/README.md)"
    )]
    NoSymbol,
    /// The function of that name returns null.
    #[error("`{SYMBOL}` returns no plugin")]
    NoPlugin,
    /// It was compiled with a header that this server does not know.
    #[error("it was compiled for version {0} of the ABI, and this server has versions 1 to {VERSION}")]
    Version(u32),
    /// Its compiler had another idea of the structure.
    #[error("its `fingerpost_plugin` has {0} bytes, and that of version {VERSION} of the ABI has {PLUGIN_SIZE}")]
    Size(u32),
    /// There is nothing to call.
    #[error("its `enter` is null")]
    NoEntry,
    /// The manifest is not there, or is not text.
    #[error("its manifest is {0}")]
    Manifest(&'static str),
}

const PLUGIN_SIZE: usize = size_of::<abi::Plugin>();

/// A library, which stays loaded for as long as the process lives.
#[derive(Clone, Copy)]
pub(crate) struct Library {
    pub(super) enter: Enter,
}

impl Library {
    /// Loads the bytes of a library, from a copy in a private directory. Whatever it does when it is loaded, it does.
    /// The text is that of its manifest.
    pub(crate) fn load(bytes: &[u8], private_dir: Option<&Path>) -> Result<(Self, String), LoadError> {
        let dir = match private_dir {
            Some(dir) => dir.join("native"),
            None => std::env::temp_dir().join(format!("fingerpost-{}", rustix::process::geteuid().as_raw())),
        };
        check_whole(bytes)?;
        let copy =
            Copy::make(&dir, bytes).map_err(|source| LoadError::Copy { dir: dir.display().to_string(), source })?;
        // SAFETY: what runs now is what the operator named in the configuration in order to have it run.
        let library = unsafe { Loaded::open(Some(&copy.0), RTLD_NOW | RTLD_LOCAL) };
        let library = library.map_err(|error| LoadError::Load(copy.unnamed(&error)))?;
        // Its code may be entered, and its data looked at, for as long as the process lives.
        let library = ManuallyDrop::new(library);
        // SAFETY: the symbol has the name that is the ABI's, for a function of this type.
        let symbol = unsafe { library.get::<unsafe extern "C" fn() -> *const abi::Plugin>(SYMBOL) };
        let symbol = symbol.map_err(|_| LoadError::NoSymbol)?;
        // SAFETY: the same; it takes nothing.
        let plugin = unsafe { symbol() };
        Self::believe(plugin)
    }

    fn believe(plugin: *const abi::Plugin) -> Result<(Self, String), LoadError> {
        if plugin.is_null() {
            return Err(LoadError::NoPlugin);
        }
        // SAFETY: it is one of the first ABI, by the name of the symbol. All of those begin with these two fields.
        let (version, size) = unsafe { ((*plugin).abi_version, (*plugin).struct_size) };
        if !(1..=VERSION).contains(&version) {
            return Err(LoadError::Version(version));
        }
        if size as usize != PLUGIN_SIZE {
            return Err(LoadError::Size(size));
        }
        // SAFETY: it is as long as it should be, and stays.
        let abi::Plugin { manifest, enter, .. } = unsafe { *plugin };
        let enter = enter.ok_or(LoadError::NoEntry)?;
        if manifest.data.is_null() || manifest.size > MANIFEST_SIZE_MAX {
            return Err(LoadError::Manifest("null, or longer than a megabyte"));
        }
        // SAFETY: the library says that there are so many bytes.
        let manifest = unsafe { std::slice::from_raw_parts(manifest.data, manifest.size) };
        let manifest = std::str::from_utf8(manifest).map_err(|_| LoadError::Manifest("no UTF-8 text"))?;
        Ok((Self { enter }, manifest.to_owned()))
    }
}

/// Whether all is there that the system's loader will look at. It would look at what is not there as well, and that
/// ends the process.
fn check_whole(bytes: &[u8]) -> Result<(), LoadError> {
    if cfg!(target_vendor = "apple") {
        return Ok(());
    }
    let no_library = |error: object::read::Error| LoadError::Load(error.to_string());
    let header = FileHeader64::<Endianness>::parse(bytes).map_err(no_library)?;
    let endian = header.endian().map_err(no_library)?;
    let segments = header.program_headers(endian, bytes).map_err(no_library)?;
    match segments.iter().all(|segment| segment.data(endian, bytes).is_ok()) {
        true => Ok(()),
        false => Err(LoadError::Load("it is cut off".to_owned())),
    }
}

/// A copy of a library, for the system's loader: it goes when the loader has read it. Every copy has a name of its own,
/// because the loader takes a name that it knows for what it has loaded already.
struct Copy(PathBuf);

impl Copy {
    fn make(dir: &Path, bytes: &[u8]) -> io::Result<Self> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        // Relative, it would be looked for in other places.
        let dir = std::path::absolute(dir)?;
        place::make_private(&dir)?;
        loop {
            let number = MADE.fetch_add(1, Ordering::Relaxed);
            let path = dir.join(format!("{}-{number}{}", std::process::id(), std::env::consts::DLL_SUFFIX));
            let mut file = match File::options().write(true).create_new(true).mode(0o500).open(&path) {
                // Another container has processes of the same numbers.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                opened => opened?,
            };
            let copy = Self(path);
            file.write_all(bytes)?;
            return Ok(copy);
        }
    }

    /// What the loader says, without the name of a file that nobody knows.
    fn unnamed(&self, error: &libloading::Error) -> String {
        let text = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
        text.replace(&format!("{}: ", self.0.display()), "").replace(&*self.0.to_string_lossy(), "the copy")
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // What cannot be removed is a file too many.
        let _ = fs::remove_file(&self.0);
    }
}
