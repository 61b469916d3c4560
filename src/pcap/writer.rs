//! The task that writes a capture: blocks, files, rotation.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{
    InterfaceDescriptionBlock, InterfaceDescriptionOption,
};
use pcap_file::pcapng::blocks::section_header::{SectionHeaderBlock, SectionHeaderOption};
use pcap_file::{DataLink, Endianness};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::conversation::Conversation;
use super::recorder::{Account, Connection, Event, Job, What};
use crate::link::CaptureConfig;

/// Jobs taken at a time.
const BATCH: usize = 256;

/// Octets that are put together before they go to the disk.
const WRITE_OCTETS: usize = 256 * 1024;

/// Timestamps count nanoseconds: 10^-9 seconds.
const NANOSECONDS: u8 = 9;

/// Where a capture goes.
#[derive(Debug)]
pub(super) enum Target {
    /// One file, as long as it may get.
    File(PathBuf),
    /// Files in turn.
    Directory { directory: PathBuf, name: String, max_octets: u64, files: u64 },
}

impl Target {
    pub(super) fn directory(name: &str, config: &CaptureConfig) -> Self {
        Self::Directory {
            directory: config.directory.clone(),
            name: name.to_owned(),
            max_octets: u64::from(config.max_mib) * 1024 * 1024,
            files: config.files.into(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Directory { directory: path, .. } => path,
        }
    }

    /// From how many octets on a file is full.
    const fn max_octets(&self) -> u64 {
        match self {
            Self::File(_) => u64::MAX,
            Self::Directory { max_octets, .. } => *max_octets,
        }
    }

    /// A new file, empty. The oldest ones make room for it.
    async fn open(&self) -> io::Result<File> {
        let (directory, name, files) = match self {
            Self::File(path) => return open(path, OpenOptions::new().create(true).truncate(true)).await,
            Self::Directory { directory, name, files, .. } => (directory, name, files),
        };
        let numbers = numbers(directory, name).await?;
        let next = numbers.last().map_or(1, |last| last.saturating_add(1));
        let path = |number| directory.join(file_name(name, number));
        let file = open(&path(next), OpenOptions::new().create_new(true)).await?;
        for old in numbers.into_iter().map_while(|number| (next - number >= *files).then(|| path(number))) {
            if let Err(error) = fs::remove_file(&old).await {
                // The new file is there all the same.
                tracing::warn!(capture = %name, path = %old.display(), %error, "an old capture cannot be removed");
            }
        }
        Ok(file)
    }
}

/// Opens a file that only its owner may read: it holds customers' numbers.
async fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.write(true);
    #[cfg(unix)]
    options.mode(0o600);
    let file = options.open(path).await?;
    // A file that was there before keeps what it was allowed; a device is none of ours.
    #[cfg(unix)]
    if file.metadata().await?.is_file() {
        file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600)).await?;
    }
    Ok(file)
}

/// What the file of this number is called.
fn file_name(name: &str, number: u64) -> String {
    format!("{name}-{number:08}.pcapng")
}

/// The numbers of the files of this name, in order. A file with a number that is written otherwise is none of them.
async fn numbers(directory: &Path, name: &str) -> io::Result<Vec<u64>> {
    let mut entries = fs::read_dir(directory).await?;
    let mut numbers = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        let file = entry.file_name();
        let digits = file
            .to_str()
            .and_then(|file| file.strip_prefix(name)?.strip_prefix('-')?.strip_suffix(".pcapng"));
        let number = digits.and_then(|digits| digits.parse().ok());
        numbers.extend(number.filter(|number| file == *file_name(name, *number)));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Owns the file.
pub(super) struct Writer {
    name: String,
    target: Target,
    jobs: mpsc::Receiver<Job>,
    account: Arc<Account>,
    connections: BTreeMap<u64, Open>,
    file: Option<File>,
    /// Octets of the file that are whole blocks and written.
    written: u64,
    /// Blocks that are not written yet.
    blocks: PcapNgWriter<Vec<u8>>,
    /// How many events are in them.
    events: u64,
    /// How many missing ones they tell of.
    told: u64,
}

/// A connection that goes on.
struct Open {
    connection: Arc<Connection>,
    conversation: Conversation,
}

impl Writer {
    /// Opens the first file.
    pub(super) async fn open(
        name: String,
        target: Target,
        account: Arc<Account>,
        jobs: mpsc::Receiver<Job>,
    ) -> io::Result<Self> {
        let file = Some(target.open().await?);
        let mut writer = Self {
            blocks: beginning(&name),
            name,
            target,
            jobs,
            account,
            connections: BTreeMap::new(),
            file,
            written: 0,
            events: 0,
            told: 0,
        };
        // So that a disk without room is known now.
        writer.try_write().await?;
        Ok(writer)
    }

    /// Writes until nobody records any more.
    pub(super) async fn run(mut self) {
        let mut batch = Vec::new();
        while self.jobs.recv_many(&mut batch, BATCH).await > 0 {
            let mut flushed = Vec::new();
            for job in batch.drain(..) {
                match job {
                    Job::Flush(done) => flushed.push(done),
                    Job::Write(event) => {
                        self.add(&event);
                        if self.blocks.get_ref().len() >= WRITE_OCTETS || self.is_full() {
                            self.write().await;
                        }
                    }
                }
            }
            self.write().await;
            for done in flushed {
                // Whoever asked may be gone.
                let _ = done.send(());
            }
        }
    }

    /// Puts an event into blocks.
    fn add(&mut self, event: &Event) {
        self.account.queued.fetch_sub(event.octets(), Ordering::Relaxed);
        let connection = &event.connection;
        let mut options = Vec::new();
        if matches!(event.what, What::Opened) {
            // Those that only this map knows are over.
            self.connections.retain(|_, open| Arc::strong_count(&open.connection) > 1);
            options.extend(
                connection.comment.clone().map(|comment| EnhancedPacketOption::Comment(comment.into())),
            );
        }
        if event.missing > 0 {
            let missing = event.missing;
            let comment =
                format!("{missing} reads or writes before this packet are missing from the capture");
            options.extend([
                EnhancedPacketOption::Comment(comment.into()),
                EnhancedPacketOption::DropCount(missing),
            ]);
            self.told += missing;
        }
        self.events += 1;
        let open = self.connections.entry(connection.number).or_insert_with(|| Open {
            connection: Arc::clone(connection),
            conversation: Conversation::new(connection.addresses, connection.number),
        });
        let mut packets = Vec::new();
        match &event.what {
            What::Opened => open.conversation.open(&mut packets),
            What::Said { from, offset, octets } => {
                open.conversation.say(&mut packets, *from, *offset, octets);
            }
            What::Ended { from, offset, reset } => {
                open.conversation.end(&mut packets, *from, *offset, *reset);
            }
        }
        for octets in packets {
            let block = EnhancedPacketBlock {
                interface_id: 0,
                timestamp: Duration::from_nanos(event.time_ns),
                original_len: u32::try_from(octets.len()).unwrap_or(u32::MAX),
                data: Cow::Owned(octets),
                options: std::mem::take(&mut options),
            };
            // A vector takes what it is given, and the interface is there.
            let _ = self.blocks.write_pcapng_block(block);
        }
    }

    /// Whether the next packet belongs into another file.
    fn is_full(&self) -> bool {
        self.written + self.blocks.get_ref().len() as u64 >= self.target.max_octets()
    }

    /// Writes what there is, and ends this file where it is full. What cannot be written is lost.
    async fn write(&mut self) {
        let full = self.is_full();
        let (events, told) = (std::mem::take(&mut self.events), std::mem::take(&mut self.told));
        if let Err(error) = self.try_write().await {
            self.account.lose(&self.name, events, &error.to_string());
            self.account.untell(told);
            if self.written == 0 {
                self.blocks = beginning(&self.name);
            }
        }
        if full {
            (self.file, self.written, self.blocks) = (None, 0, beginning(&self.name));
        }
    }

    async fn try_write(&mut self) -> io::Result<()> {
        let blocks = std::mem::take(self.blocks.get_mut());
        if blocks.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(self.target.open().await?),
        };
        let mut written = file.write_all(&blocks).await;
        if written.is_ok() {
            // Only now is it known what became of it.
            written = file.flush().await;
        }
        match written {
            Ok(()) => self.written += blocks.len() as u64,
            Err(_) => {
                // Half a block would make the file unreadable. Where not even this can be done, it ends there.
                let _ = file.set_len(self.written).await;
                let _ = file.seek(SeekFrom::Start(self.written)).await;
            }
        }
        written
    }
}

/// The first blocks of a file: who wrote it, and one interface whose packets begin with an IP header.
fn beginning(name: &str) -> PcapNgWriter<Vec<u8>> {
    let program = concat!("airwrite ", env!("CARGO_PKG_VERSION"));
    let section = SectionHeaderBlock {
        endianness: Endianness::Little,
        options: vec![SectionHeaderOption::UserApplication(program.into())],
        ..SectionHeaderBlock::default()
    };
    let interface = InterfaceDescriptionBlock {
        linktype: DataLink::RAW,
        snaplen: 0,
        options: vec![
            InterfaceDescriptionOption::IfName(name.to_owned().into()),
            InterfaceDescriptionOption::IfTsResol(NANOSECONDS),
        ],
    };
    let begun = PcapNgWriter::with_section_header(Vec::new(), section)
        .and_then(|mut blocks| blocks.write_pcapng_block(interface).map(|_| blocks));
    begun.expect("a vector takes what it is given")
}
