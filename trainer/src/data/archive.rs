//! Files inside `.tar`, `.tar.gz` and `.tgz` archives, read in one pass.

use std::io::{self, BufReader, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use latent_files::regular;
use tar::EntryType;

use super::DataError;

/// The most bytes that `compressed` bytes of gzip can hold: deflate spends at least two bits on a copy of up to 258 bytes,
/// which is 1032:1 (zlib technical notes).
pub(super) fn max_inflated(compressed: u64) -> u64 {
    compressed.saturating_mul(1032)
}

/// A file taken out of an archive.
pub(super) struct Entry {
    /// Path in the archive, `/` between its parts.
    pub(super) path: String,
    /// Content.
    pub(super) bytes: Vec<u8>,
}

/// Whether the path's name is that of an archive.
pub(super) fn is_archive(path: &Path) -> bool {
    let name = path.file_name().map(|n| n.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    name.ends_with(".tar.gz") || name.ends_with(".tgz") || name.ends_with(".tar")
}

/// Reads every regular file of the archive that `wanted(path)` accepts with a limit in bytes for that one file.
///
/// `total` bounds the bytes kept from the whole archive.
///
/// # Errors
/// If the archive cannot be read, is cut off or damaged, or a wanted file is over its limit.
pub(super) fn read(
    archive: &Path,
    total: u64,
    mut wanted: impl FnMut(&str) -> Option<u64>,
) -> Result<Vec<Entry>, DataError> {
    let name = archive.display().to_string();
    let (file, size) = regular::open(archive, u64::MAX).map_err(|e| DataError::io(archive, e.into()))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let start = io::BufRead::fill_buf(&mut reader).map_err(|e| DataError::io(archive, e))?;
    let gzipped = start.starts_with(&[0x1f, 0x8b]);
    let (content, bound): (Box<dyn Read>, u64) = if gzipped {
        (Box::new(MultiGzDecoder::new(reader)), max_inflated(size))
    } else {
        (Box::new(reader), size)
    };
    // Skipping what is not wanted has to inflate it too: `take` bounds the work a hostile archive can ask for.
    let most = total.saturating_mul(4).max(1 << 30);
    let mut tar = tar::Archive::new(content.take(most));
    let mut kept = Vec::new();
    let mut kept_bytes = 0u64;
    let mut offset = 0u64;
    let damaged = |offset: u64, e: &io::Error| {
        let kind = if gzipped { "a complete gzipped tar archive" } else { "a complete tar archive" };
        DataError::invalid(&name, offset, format!("damaged or missing bytes ({e})"), kind)
    };
    for entry in tar.entries().map_err(|e| damaged(0, &e))? {
        let mut entry = entry.map_err(|e| damaged(offset, &e))?;
        offset = entry.raw_file_position();
        // Links, sparse files and devices have no place in a data set.
        if !matches!(entry.header().entry_type(), EntryType::Regular | EntryType::Continuous) {
            continue;
        }
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let Some(limit) = wanted(&path) else { continue };
        let size = entry.size();
        let label = format!("{name}: {path}");
        if size > limit.min(bound) {
            return Err(DataError::TooLarge { file: label, bytes: size, limit: limit.min(bound) });
        }
        kept_bytes += size;
        if kept_bytes > total {
            return Err(DataError::TooLarge { file: name, bytes: kept_bytes, limit: total });
        }
        let mut bytes = Vec::new();
        // Memory follows what was really read once a file is large, not what a header says.
        bytes.try_reserve(size.min(1 << 26) as usize).map_err(|_| DataError::TooLarge {
            file: label.clone(),
            bytes: size,
            limit,
        })?;
        let outcome = entry.read_to_end(&mut bytes);
        if let Err(e) = outcome {
            return Err(damaged(offset + bytes.len() as u64, &e));
        }
        if bytes.len() as u64 != size {
            return Err(DataError::invalid(
                &label,
                bytes.len(),
                "the end of the archive",
                format!("{size} bytes"),
            ));
        }
        offset += size;
        kept.push(Entry { path, bytes });
    }
    Ok(kept)
}
