//! Reading one file, and seeing on the way whether it is whole: no database is needed for it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use serde::de::DeserializeOwned;

use super::{
    Archive, ArchiveError, Chain, ENTRIES_MAX, Entry, FORMAT, Hashing, Header, Line, PAGE, PAGE_BYTES,
    Trailer, genesis_hash,
};

/// More than any entry takes; a line that goes on for longer is not read into memory.
const LINE_MAX: u64 = 64_000_000;

/// A file that is being read.
pub(super) struct Reader {
    lines: Lines,
    pub(super) header: Header,
    chain: Chain,
}

/// The lines of a file, one after the other.
struct Lines {
    path: PathBuf,
    // Gzip lets files be strung together; what is strung to this one is so seen, and refused.
    text: BufReader<MultiGzDecoder<Hashing<File>>>,
    line: Vec<u8>,
    number: i64,
}

/// A file that is whole, and some of the hashes in it.
#[derive(Debug)]
pub struct Noted {
    /// The file.
    pub archive: Archive,
    /// Hashes in hex, by position; before the first entry that of the one before.
    pub hashes: BTreeMap<i64, String>,
}

impl Noted {
    /// The hash of an entry that is in the file, if it was noted. Not the one before the first entry, which only the header
    /// tells: anybody can write one there.
    pub fn hash_of(&self, position: i64) -> Option<&str> {
        let Header { from, to, .. } = self.archive.header;
        let own = (from..=to).contains(&position);
        self.hashes.get(&position).filter(|_| own).map(String::as_str)
    }
}

/// What a file says of itself. Whether it is so, only [`verify`] tells.
pub fn header(path: &Path) -> Result<Header, ArchiveError> {
    Ok(Reader::open(path)?.header)
}

/// Sees whether a file is whole: every entry follows from the one before, up to the last. `progress` is told how many
/// entries of how many were read.
pub fn verify(path: &Path, progress: impl FnMut(i64, i64)) -> Result<Archive, ArchiveError> {
    Ok(verify_noting(path, &BTreeSet::new(), progress)?.archive)
}

/// The same, and what the hashes at some positions are, as far as they are in the file.
pub fn verify_noting(
    path: &Path,
    positions: &BTreeSet<i64>,
    mut progress: impl FnMut(i64, i64),
) -> Result<Noted, ArchiveError> {
    let mut reader = Reader::open(path)?;
    let mut hashes = BTreeMap::new();
    if positions.contains(&reader.chain.position) {
        hashes.insert(reader.chain.position, hex::encode(reader.hash()));
    }
    while reader.chain.position < reader.header.to {
        for entry in reader.page()? {
            if positions.contains(&entry.position) {
                hashes.insert(entry.position, hex::encode(&entry.hash));
            }
        }
        progress(reader.chain.position - reader.header.from + 1, reader.header.entries());
    }
    Ok(Noted { archive: reader.archive(), hashes })
}

impl Reader {
    /// Opens a file and reads what it says of itself.
    pub(super) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let file = File::open(path).map_err(|error| ArchiveError::File { path: path.to_owned(), error })?;
        let text = BufReader::new(MultiGzDecoder::new(Hashing::new(file)));
        let mut lines = Lines { path: path.to_owned(), text, line: Vec::new(), number: 0 };
        let header: Header = lines.read()?;
        if header.format != FORMAT {
            return Err(lines.malformed(format!("the format is {:?}, and not {FORMAT:?}", header.format)));
        }
        if header.from < 1 || header.to < header.from || header.to == i64::MAX {
            return Err(lines.malformed("the header names no stretch of a ledger"));
        }
        if header.entries() > ENTRIES_MAX {
            return Err(lines.malformed(format!("a file has {ENTRIES_MAX} entries at most")));
        }
        let previous_hash = lines.hash(&header.previous_hash)?;
        if header.from == 1 && previous_hash != genesis_hash(header.tenant) {
            return Err(
                lines.malformed("no ledger of this tenant begins with the hash before the first entry")
            );
        }
        let chain = Chain::before(&header, previous_hash);
        Ok(Self { lines, header, chain })
    }

    /// The next entries, some thousand at most; none after the last. With the last, the end of the file is seen as well.
    pub(super) fn page(&mut self) -> Result<Vec<Entry>, ArchiveError> {
        let (mut page, mut bytes) = (Vec::new(), 0);
        while page.len() < PAGE && bytes < PAGE_BYTES && self.chain.position < self.header.to {
            let line: Line<'_> = self.lines.read()?;
            bytes += self.lines.line.len();
            let entry = Entry {
                position: line.position,
                event_id: line.event_id,
                stream: line.stream.into_owned(),
                version: line.version,
                name: line.name.into_owned(),
                name_version: line.name_version,
                recorded_at: line.recorded_at,
                payload: line.payload.into_owned(),
                metadata: line.metadata.into_owned(),
                hash: self.lines.hash(&line.hash)?,
            };
            self.chain.step(&entry)?;
            page.push(entry);
        }
        if !page.is_empty() && self.chain.position == self.header.to {
            self.end()?;
        }
        Ok(page)
    }

    /// The hash of the entry that was read last.
    pub(super) fn hash(&self) -> &[u8] {
        &self.chain.hash
    }

    /// What the file is, once all of it was read.
    pub(super) fn archive(self) -> Archive {
        let file = self.lines.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let last_hash = hex::encode(&self.chain.hash);
        let read = self.lines.text.get_ref().get_ref();
        Archive { file, header: self.header, last_hash, sha256: read.sha256(), bytes: read.bytes }
    }

    fn end(&mut self) -> Result<(), ArchiveError> {
        let trailer: Trailer = self.lines.read()?;
        if trailer != (Trailer { entries: self.header.entries(), last_hash: hex::encode(&self.chain.hash) }) {
            return Err(self.lines.malformed("the last line tells of other entries"));
        }
        // To the end of the file, where the sums of the compression are checked.
        match self.lines.text.fill_buf().map(<[u8]>::is_empty) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.lines.malformed("something follows the last line")),
            Err(error) => Err(self.lines.malformed(error.to_string())),
        }
    }
}

impl Lines {
    fn read<T: DeserializeOwned>(&mut self) -> Result<T, ArchiveError> {
        self.number += 1;
        self.line.clear();
        if let Err(error) = self.text.by_ref().take(LINE_MAX).read_until(b'\n', &mut self.line) {
            return Err(self.malformed(error.to_string()));
        }
        if self.line.last() != Some(&b'\n') {
            return Err(self.malformed("it ends here, and is not whole; or the line has no end"));
        }
        serde_json::from_slice(&self.line).map_err(|error| self.malformed(error.to_string()))
    }

    fn hash(&self, hex: &str) -> Result<Vec<u8>, ArchiveError> {
        let hash = hex::decode(hex).ok().filter(|hash| hash.len() == 32);
        hash.ok_or_else(|| self.malformed("a hash is 32 bytes in hex"))
    }

    fn malformed(&self, why: impl Into<String>) -> ArchiveError {
        ArchiveError::Malformed { path: self.path.clone(), line: self.number, why: why.into() }
    }
}
