//! Writing one file: it appears under its name once it is whole and on disk.

use std::{
    fs::{self, File, OpenOptions},
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};
use serde::Serialize;
use uuid::Uuid;

use super::{Archive, ArchiveError, Chain, Entry, Hashing, Header, Line, Trailer};

/// A file that is being written. Given up, it leaves nothing behind.
pub(super) struct Writer {
    out: GzEncoder<BufWriter<Hashing<File>>>,
    // After `out`: what is open cannot be removed everywhere.
    temporary: Temporary,
    path: PathBuf,
    header: Header,
    chain: Chain,
    line: Vec<u8>,
}

/// A path at which nothing stays.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // Once the file has its name, there is nothing here.
        let _ = fs::remove_file(&self.0);
    }
}

impl Writer {
    /// Begins a file in a folder, named after whose entries it is to hold, and which.
    pub(super) fn create(
        folder: &Path,
        header: Header,
        previous_hash: Vec<u8>,
    ) -> Result<Self, ArchiveError> {
        let name = name_of(&header);
        let path = folder.join(&name);
        let failed = |path: &Path, error| ArchiveError::File { path: path.to_owned(), error };
        fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        if path.exists() {
            let error = std::io::ErrorKind::AlreadyExists.into();
            return Err(failed(&path, error));
        }
        let unfinished = folder.join(format!("{name}.{}.part", Uuid::new_v4().simple()));
        let file = create_private(&unfinished).map_err(|error| failed(&unfinished, error))?;
        let out = GzEncoder::new(BufWriter::new(Hashing::new(file)), Compression::default());
        let chain = Chain::before(&header, previous_hash);
        let temporary = Temporary(unfinished);
        let mut writer = Self { out, temporary, path, header, chain, line: Vec::new() };
        writer.put(&writer.header.clone())?;
        Ok(writer)
    }

    /// Adds entries, which have to follow from those before.
    pub(super) fn write(&mut self, entries: &[Entry]) -> Result<(), ArchiveError> {
        for entry in entries {
            self.chain.step(entry)?;
            self.put(&Line {
                position: entry.position,
                event_id: entry.event_id,
                stream: (&*entry.stream).into(),
                version: entry.version,
                name: (&*entry.name).into(),
                name_version: entry.name_version,
                recorded_at: entry.recorded_at,
                payload: (&*entry.payload).into(),
                metadata: (&*entry.metadata).into(),
                hash: hex::encode(&entry.hash).into(),
            })?;
        }
        Ok(())
    }

    /// Ends the file, sees it on disk and gives it its name.
    pub(super) fn finish(mut self) -> Result<Archive, ArchiveError> {
        if self.chain.position != self.header.to {
            return Err(ArchiveError::Broken {
                position: self.chain.position + 1,
                why: "the entry is missing",
            });
        }
        let last_hash = hex::encode(&self.chain.hash);
        self.put(&Trailer { entries: self.header.entries(), last_hash: last_hash.clone() })?;
        let Self { out, temporary, path, header, .. } = self;
        let failed = |error| ArchiveError::File { path: path.clone(), error };
        let written =
            out.finish().map_err(failed)?.into_inner().map_err(|error| failed(error.into_error()))?;
        written.file.sync_all().map_err(failed)?;
        fs::rename(&temporary.0, &path).map_err(failed)?;
        // The name, too. Where a folder cannot be opened, the system sees to it.
        if let Some(Ok(folder)) = path.parent().map(File::open) {
            folder.sync_all().map_err(failed)?;
        }
        let (sha256, bytes) = (written.sha256(), written.bytes);
        Ok(Archive { file: name_of(&header), header, last_hash, sha256, bytes })
    }

    fn put(&mut self, line: &impl Serialize) -> Result<(), ArchiveError> {
        self.line.clear();
        let written =
            serde_json::to_writer(&mut self.line, line).map_err(std::io::Error::from).and_then(|()| {
                self.line.push(b'\n');
                self.out.write_all(&self.line)
            });
        written.map_err(|error| ArchiveError::File { path: self.temporary.0.clone(), error })
    }
}

/// `acme-000000000001-000000050000.ndjson.gz`: sorted by name, files are in order. A name that is not fit for one is
/// replaced by the tenant's id.
pub(super) fn name_of(header: &Header) -> String {
    let Header { tenant, tenant_name, from, to, .. } = header;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let tenant = match tenant_name.len() {
        1..=60 if tenant_name.chars().all(plain) => tenant_name.clone(),
        _ => tenant.to_string(),
    };
    format!("{tenant}-{from:012}-{to:012}.ndjson.gz")
}

/// A new file that only its owner can read.
fn create_private(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
