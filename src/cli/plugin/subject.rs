//! The component or library that a command is about, and where compiled ones are kept meanwhile.

use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::cases::run;
use crate::config::{Environment, PluginsConfig};
use crate::plugin::{Inspection, is_library};
use crate::workbench::TemporaryHome;

/// No file is read beyond this, whatever a server would allow.
const SIZE_MAX: u64 = 256 << 20;

/// A plugin's file.
pub(crate) struct Subject {
    pub(crate) path: PathBuf,
    pub(crate) file_name: String,
    pub(crate) bytes: Vec<u8>,
    cache: Cache,
}

/// Where compiled components are kept.
pub(crate) enum Cache {
    /// Where a server of this user keeps them.
    Kept(PathBuf),
    /// There is no such place.
    Temporary(TemporaryHome),
}

impl Cache {
    pub(crate) fn of_this_user() -> Result<Self, String> {
        match Environment::of_process().cache_dir() {
            Some(dir) => Ok(Self::Kept(dir)),
            None => TemporaryHome::new().map(Self::Temporary).map_err(|error| error.to_string()),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(dir) => dir,
            Self::Temporary(home) => home.path(),
        }
    }
}

impl Subject {
    /// # Errors
    /// When the file cannot be read; the text names it.
    pub(crate) fn read(path: &OsString) -> Result<Self, String> {
        let path = PathBuf::from(path);
        let failed = |error: std::io::Error| format!("{}: {error}", path.display());
        let mut bytes = Vec::new();
        fs::File::open(&path).and_then(|file| file.take(SIZE_MAX + 1).read_to_end(&mut bytes)).map_err(failed)?;
        if bytes.len() as u64 > SIZE_MAX {
            return Err(format!("{}: more than {SIZE_MAX} bytes, so it is no plugin", path.display()));
        }
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { path, file_name, bytes, cache: Cache::of_this_user()? })
    }

    pub(crate) fn cache_dir(&self) -> &Path {
        self.cache.path()
    }

    /// Whether it is a native library, which its name decides, as for a server.
    pub(crate) fn is_library(&self) -> bool {
        is_library(&self.path)
    }

    /// What can be told of a library, as far as the configuration allows it to be loaded.
    pub(crate) fn look_into_library(&self, config: &PluginsConfig) -> Inspection {
        Inspection::of_library(&self.path, &self.bytes, config, self.cache_dir())
    }

    /// What cases are played on. A file is called as plugins are, whatever its name is here.
    pub(crate) fn to_play(&self) -> run::Subject<'_> {
        let is_one = self.file_name.ends_with(".wasm") || self.is_library();
        let file_name =
            if is_one && !self.file_name.starts_with('.') { self.file_name.as_str() } else { "plugin.wasm" };
        run::Subject { file_name, bytes: &self.bytes, cache_dir: self.cache_dir() }
    }
}
