//! TensorBoard event files: scalars and PNG images.
//!
//! An event file is a sequence of TFRecords, each holding one `tensorflow.Event` protocol buffer:
//!
//! ```text
//! u64 length | u32 masked CRC-32C of the length | length bytes | u32 masked CRC-32C of the bytes      (little-endian)
//! ```
//!
//! Only the fields that are written are declared below; numbers and types are those of `event.proto` and `summary.proto`
//! in TensorFlow (and TensorBoard, `tensorboard/compat/proto`).

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prost::Message;

use super::at;

/// Events reach the operating system at the latest this long after they were written (and another one came).
const FLUSH_EVERY: Duration = Duration::from_secs(2);

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5, 7")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
    #[prost(message, tag = "7")]
    SessionLog(SessionLog),
}

#[derive(Clone, PartialEq, Message)]
struct SessionLog {
    /// 1 is START.
    #[prost(int32, tag = "1")]
    status: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(oneof = "Figure", tags = "2, 4")]
    figure: Option<Figure>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Figure {
    #[prost(float, tag = "2")]
    SimpleValue(f32),
    #[prost(message, tag = "4")]
    Image(Image),
}

#[derive(Clone, PartialEq, Message)]
struct Image {
    #[prost(int32, tag = "1")]
    height: i32,
    #[prost(int32, tag = "2")]
    width: i32,
    /// Number of channels: 1 gray, 3 RGB.
    #[prost(int32, tag = "3")]
    colorspace: i32,
    #[prost(bytes = "vec", tag = "4")]
    encoded_image_string: Vec<u8>,
}

#[derive(Debug)]
pub struct EventWriter {
    path: PathBuf,
    writer: BufWriter<File>,
    record: Vec<u8>,
    flushed: Instant,
}

impl EventWriter {
    /// Starts an event file in the folder `dir`, which is made if it is not there.
    ///
    /// # Errors
    /// If the folder or the file cannot be written.
    pub fn create(dir: impl AsRef<Path>) -> io::Result<Self> {
        let dir = dir.as_ref();
        fs::create_dir_all(dir).map_err(at(dir, "create the folder"))?;
        // TensorBoard reads a folder's files in the order of their names and follows the last one, so a new file's name
        // must sort behind those that are there, even if the clock was set back or a run restarts within a second.
        let mut second = since_epoch().as_secs();
        for entry in fs::read_dir(dir).map_err(at(dir, "read the folder"))?.flatten() {
            let name = entry.file_name();
            let used =
                name.to_str().and_then(|name| name.strip_prefix("events.out.tfevents.")?.split('.').next());
            if let Some(used) = used.and_then(|used| used.parse::<u64>().ok()) {
                second = second.max(used.saturating_add(1));
            }
        }
        let path = dir.join(format!("events.out.tfevents.{second:010}.latent"));
        let file =
            OpenOptions::new().write(true).create_new(true).open(&path).map_err(at(&path, "create"))?;
        let mut writer = Self {
            path,
            writer: BufWriter::with_capacity(1 << 16, file),
            record: Vec::new(),
            flushed: Instant::now(),
        };
        writer.event(0, What::FileVersion("brain.Event:2".to_owned()))?;
        writer.flush()?;
        Ok(writer)
    }

    /// Starts a further event file for a run that goes on after iteration `after`: TensorBoard then forgets what earlier
    /// files in the folder hold for later iterations.
    pub fn resume(dir: impl AsRef<Path>, after: u64) -> io::Result<Self> {
        let mut writer = Self::create(dir)?;
        writer.event(after.saturating_add(1), What::SessionLog(SessionLog { status: 1 }))?;
        writer.flush()?;
        Ok(writer)
    }

    /// The file that is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a figure at an iteration. A slash in the tag groups charts: `loss/discriminator`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn scalar(&mut self, tag: &str, step: u64, value: f64) -> io::Result<()> {
        self.value(tag, step, Figure::SimpleValue(value as f32))
    }

    /// Writes an encoded PNG image of `height` x `width` pixels and 1, 3 or 4 channels.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn image_png(
        &mut self,
        tag: &str,
        step: u64,
        png: &[u8],
        height: usize,
        width: usize,
        channels: usize,
    ) -> io::Result<()> {
        let size = |value: usize| i32::try_from(value).unwrap_or(i32::MAX);
        let image = Image {
            height: size(height),
            width: size(width),
            colorspace: size(channels),
            encoded_image_string: png.to_vec(),
        };
        self.value(tag, step, Figure::Image(image))?;
        self.flush()
    }

    /// Hands everything to the operating system, so that a TensorBoard that looks on sees it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn flush(&mut self) -> io::Result<()> {
        self.flushed = Instant::now();
        self.writer.flush().map_err(at(&self.path, "write"))
    }

    fn value(&mut self, tag: &str, step: u64, figure: Figure) -> io::Result<()> {
        let value = Value { tag: tag.to_owned(), figure: Some(figure) };
        self.event(step, What::Summary(Summary { value: vec![value] }))
    }

    fn event(&mut self, step: u64, what: What) -> io::Result<()> {
        let event = Event {
            wall_time: since_epoch().as_secs_f64(),
            step: i64::try_from(step).unwrap_or(i64::MAX),
            what: Some(what),
        };
        self.record.clear();
        let length = event.encoded_len() as u64;
        self.record.extend_from_slice(&length.to_le_bytes());
        self.record.extend_from_slice(&masked_crc(&length.to_le_bytes()).to_le_bytes());
        event.encode(&mut self.record).map_err(io::Error::other)?;
        let crc = masked_crc(&self.record[12..]);
        self.record.extend_from_slice(&crc.to_le_bytes());
        self.writer.write_all(&self.record).map_err(at(&self.path, "write"))?;
        if self.flushed.elapsed() >= FLUSH_EVERY {
            self.flush()?;
        }
        Ok(())
    }
}

/// CRC-32C, rotated and offset as TFRecord files hold it (so that a CRC of bytes with CRCs in them stays a good check).
fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// CRC-32C bit by bit, from the polynomial 0x1EDC6F41 (reflected 0x82F63B78): independent of the crate.
    fn crc32c_plain(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0u32, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0x82f6_3b78 & 0u32.wrapping_sub(crc & 1))
            })
        })
    }

    /// A reader of the protocol buffer wire format: (field number, wire type, varint or fixed value, bytes).
    fn fields(mut bytes: &[u8]) -> Vec<(u64, u64, u64, Vec<u8>)> {
        fn varint(bytes: &mut &[u8]) -> u64 {
            let mut value = 0;
            for shift in (0..).step_by(7) {
                let (byte, rest) = bytes.split_first().expect("varint");
                *bytes = rest;
                value |= u64::from(byte & 0x7f) << shift;
                if byte & 0x80 == 0 {
                    break;
                }
            }
            value
        }
        let mut out = Vec::new();
        while !bytes.is_empty() {
            let key = varint(&mut bytes);
            let (value, length) = match key & 7 {
                0 => (varint(&mut bytes), 0),
                1 => (u64::from_le_bytes(bytes[..8].try_into().unwrap()), 8),
                2 => (0, varint(&mut bytes) as usize),
                5 => (u64::from(u32::from_le_bytes(bytes[..4].try_into().unwrap())), 4),
                other => panic!("wire type {other}"),
            };
            out.push((key >> 3, key & 7, value, bytes[..length].to_vec()));
            bytes = &bytes[length..];
        }
        out
    }

    fn records(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        while !bytes.is_empty() {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let check = |bytes: &[u8], stored: &[u8]| {
                let crc = crc32c_plain(bytes);
                let masked = crc.rotate_right(15).wrapping_add(0xa282_ead8);
                assert_eq!(masked, u32::from_le_bytes(stored.try_into().unwrap()));
            };
            check(&bytes[..8], &bytes[8..12]);
            check(&bytes[12..12 + length], &bytes[12 + length..16 + length]);
            out.push(bytes[12..12 + length].to_vec());
            bytes = &bytes[16 + length..];
        }
        out
    }

    #[test]
    fn the_plain_crc_has_its_check_value() {
        assert_eq!(crc32c_plain(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn events_read_back_with_an_independent_reader() {
        let dir = tempfile::tempdir().unwrap();
        let mut writer = EventWriter::create(dir.path().join("tensorboard")).unwrap();
        writer.scalar("loss/discriminator", 0, 1.25).unwrap();
        writer.scalar("loss/generator", 300, -0.5).unwrap();
        writer.scalar("loss/generator", 301, f64::NAN).unwrap();
        writer.image_png("samples", 250, b"\x89PNG...", 280, 320, 1).unwrap();
        let records = records(&fs::read(writer.path()).unwrap());
        assert_eq!(records.len(), 5);

        let version = fields(&records[0]);
        assert_eq!((version[0].0, version[0].1), (1, 1), "wall_time is a double");
        assert!((f64::from_bits(version[0].2) - since_epoch().as_secs_f64()).abs() < 60.0);
        assert_eq!(version.last().unwrap().3, b"brain.Event:2");

        let read = |record: &[u8]| {
            let event = fields(record);
            let step = event.iter().find(|field| field.0 == 2).map_or(0, |field| field.2);
            let summary = &event.iter().find(|field| field.0 == 5).expect("summary").3;
            let value = fields(&fields(summary)[0].3);
            (step, String::from_utf8(value[0].3.clone()).unwrap(), value[1].clone())
        };
        let (step, tag, value) = read(&records[1]);
        assert_eq!((step, tag.as_str(), value.0, value.1), (0, "loss/discriminator", 2, 5));
        assert_eq!(f32::from_bits(value.2 as u32), 1.25);
        let (step, tag, value) = read(&records[2]);
        assert_eq!((step, tag.as_str(), f32::from_bits(value.2 as u32)), (300, "loss/generator", -0.5));
        assert!(f32::from_bits(read(&records[3]).2.2 as u32).is_nan());
        let (step, tag, value) = read(&records[4]);
        assert_eq!((step, tag.as_str(), value.0), (250, "samples", 4));
        let image = fields(&value.3);
        assert_eq!(
            image.iter().map(|field| (field.0, field.2)).collect::<Vec<_>>(),
            [(1, 280), (2, 320), (3, 1), (4, 0)]
        );
        assert_eq!(image[3].3, b"\x89PNG...");
    }

    #[test]
    fn a_resumed_run_gets_a_later_file_that_supersedes_what_follows() {
        let dir = tempfile::tempdir().unwrap();
        let first = EventWriter::create(dir.path()).unwrap();
        let second = EventWriter::resume(dir.path(), 390).unwrap();
        let third = EventWriter::resume(dir.path(), 780).unwrap();
        assert!(first.path() < second.path() && second.path() < third.path());
        let records = records(&fs::read(second.path()).unwrap());
        let start = fields(&records[1]);
        assert_eq!(start.iter().find(|field| field.0 == 2).unwrap().2, 391);
        assert_eq!(fields(&start.iter().find(|field| field.0 == 7).unwrap().3)[0], (1, 0, 1, vec![]));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        let error = EventWriter::create(file.join("tensorboard")).unwrap_err().to_string();
        assert!(error.contains("file/tensorboard"), "{error}");
    }
}
