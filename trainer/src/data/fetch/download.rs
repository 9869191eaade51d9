//! One file over HTTP: mirrors in turn, retries, and continuation of what is there.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::header::{CONTENT_RANGE, RANGE};
use ureq::{Agent, Proxy};

use super::{
    Check, Event, FetchError, FetchOptions, RemoteFile, check, finish, io_error, open_part, part_path,
};

/// Bytes a second below which a connection is given up.
const LEAST_PER_SECOND: f64 = 1000.0;

const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Downloads a file into `folder` and returns which mirror gave it.
pub(super) fn file(
    file: &RemoteFile<'_>,
    mirrors: &[String],
    folder: &Path,
    options: &FetchOptions,
    watch: &mut dyn FnMut(Event),
) -> Result<usize, FetchError> {
    let path = part_path(folder, file.name);
    let part = Part { file: open_part(&path)?, path: &path };
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_resolve(Some(options.connect_timeout))
        .timeout_connect(Some(options.connect_timeout))
        .timeout_recv_response(Some(options.stall_timeout))
        .timeout_per_read(Some(options.stall_timeout))
        .proxy(if options.proxy { Proxy::try_from_env() } else { None })
        .user_agent(concat!("latent-trainer/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let mut failures = Vec::new();
    for (i, mirror) in mirrors.iter().enumerate() {
        let url = format!("{}/{}", mirror.trim_end_matches('/'), file.name);
        match (Transfer { file, url: &url, part: &part, agent: &agent, options }).run(watch)? {
            Ok(()) => {
                finish(part.file, &path, &folder.join(file.name))?;
                return Ok(i);
            }
            Err(why) => {
                if i + 1 < mirrors.len() {
                    watch(Event::Note(format!("{url}: {why}; trying the next mirror")));
                }
                failures.push((url, why));
            }
        }
    }
    // An empty file is nothing to continue.
    if part.len()? == 0 {
        let _ = std::fs::remove_file(&path);
    }
    Err(FetchError::Mirrors { file: file.name.to_owned(), failures })
}

/// The unfinished file.
struct Part<'a> {
    file: File,
    path: &'a Path,
}

impl Part<'_> {
    fn len(&self) -> Result<u64, FetchError> {
        self.file.metadata().map(|m| m.len()).map_err(io_error("read", self.path))
    }

    fn discard(&self) -> Result<(), FetchError> {
        self.file.set_len(0).map_err(io_error("empty", self.path))
    }

    fn append(&self, bytes: &[u8], at: u64) -> Result<(), FetchError> {
        (&self.file).write_all(bytes).map_err(|source| FetchError::Write {
            path: self.path.to_owned(),
            bytes: at,
            source,
        })
    }
}

/// One file from one mirror.
struct Transfer<'a> {
    file: &'a RemoteFile<'a>,
    url: &'a str,
    part: &'a Part<'a>,
    agent: &'a Agent,
    options: &'a FetchOptions,
}

/// How one request ended.
enum Outcome {
    /// The server says that there is no more.
    Complete,
    /// Asking again makes no sense.
    Refused(String),
    /// It may work the next time.
    Broken(String),
}

impl Transfer<'_> {
    /// The outer error is of this machine and ends everything; the inner one is this mirror's.
    fn run(&self, watch: &mut dyn FnMut(Event)) -> Result<Result<(), String>, FetchError> {
        let mut attempt = 0;
        let mut furthest = self.part.len()?;
        // Whether the part may hold bytes from elsewhere, which this mirror is not to blame for.
        let mut inherited = furthest > 0;
        loop {
            let outcome =
                if self.part.len()? == self.file.bytes { Outcome::Complete } else { self.request(watch)? };
            let broken = match outcome {
                Outcome::Complete => {
                    let found =
                        match check(self.part.path, self.file).map_err(io_error("read", self.part.path))? {
                            Check::Good => return Ok(Ok(())),
                            Check::Wrong(found) => found,
                        };
                    let length = self.part.len()?;
                    self.part.discard()?;
                    if !inherited {
                        return Ok(Err(format!(
                            "sent wrong bytes ({length} of them with SHA-256 {found}, expected {} with {})",
                            self.file.bytes, self.file.sha256
                        )));
                    }
                    inherited = false;
                    furthest = 0;
                    watch(Event::Note(format!("{}: the continued file is wrong; starting over", self.url)));
                    continue;
                }
                Outcome::Refused(why) => return Ok(Err(why)),
                Outcome::Broken(why) => why,
            };
            // A connection that keeps breaking is worth going on with as long as each one brings at least a percent.
            let length = self.part.len()?;
            if length >= furthest + (self.file.bytes / 100).max(1) {
                furthest = length;
                attempt = 0;
            }
            attempt += 1;
            if attempt >= self.options.attempts {
                return Ok(Err(format!("{broken} (after {attempt} attempts)")));
            }
            let pause = self.options.backoff.saturating_mul(1 << (attempt - 1).min(16)).min(LONGEST_PAUSE);
            watch(Event::Note(format!(
                "{}: {broken}; trying again in {:.1} s",
                self.url,
                pause.as_secs_f32()
            )));
            thread::sleep(pause);
        }
    }

    /// Asks for what is missing and appends what comes.
    fn request(&self, watch: &mut dyn FnMut(Event)) -> Result<Outcome, FetchError> {
        let start = self.part.len()?;
        let mut request = self.agent.get(self.url);
        if start > 0 {
            request = request.header(RANGE, format!("bytes={start}-"));
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(e @ (ureq::Error::BadUri(_) | ureq::Error::Http(_))) => {
                return Ok(Outcome::Refused(e.to_string()));
            }
            Err(e) => return Ok(Outcome::Broken(explain(&e))),
        };
        // Bytes to drop before the first new one.
        let mut skip = match response.status().as_u16() {
            // The whole file, although a part was asked for: not every server knows ranges.
            200 => start,
            206 => {
                let range = response.headers().get(CONTENT_RANGE).and_then(|v| v.to_str().ok());
                let first = range.and_then(first_byte);
                if first != Some(start) {
                    return Ok(Outcome::Refused(format!(
                        "was asked for the bytes from {start} on and answered with {:?}",
                        range.unwrap_or("no range")
                    )));
                }
                0
            }
            // Nothing from there on: the part is whole, or longer than the file.
            416 if start > 0 => return Ok(Outcome::Complete),
            status @ (408 | 429 | 500..=599) => return Ok(Outcome::Broken(format!("HTTP status {status}"))),
            status => return Ok(Outcome::Refused(format!("HTTP status {status}"))),
        };
        let expected = response.body().content_length();
        let limit = self.file.bytes.saturating_mul(2).saturating_add(1 << 20);
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        let (mut received, mut length) = (0u64, start);
        watch(Event::Bytes(length));
        let (mut since, mut before) = (Instant::now(), 0);
        loop {
            // A server that drips is as good as one that says nothing.
            let waited = since.elapsed();
            if waited >= self.options.stall_timeout {
                if received - before < (waited.as_secs_f64() * LEAST_PER_SECOND) as u64 {
                    let (seconds, came) = (waited.as_secs_f32(), received - before);
                    return Ok(Outcome::Broken(format!(
                        "too slow after {length} bytes: {came} more in {seconds:.1} s"
                    )));
                }
                (since, before) = (Instant::now(), received);
            }
            let n = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Ok(Outcome::Broken(format!("broke off after {length} bytes ({e})"))),
            };
            received += n as u64;
            let dropped = skip.min(n as u64);
            skip -= dropped;
            let new = &buffer[dropped as usize..n];
            if new.is_empty() {
                continue;
            }
            self.part.append(new, length)?;
            length += new.len() as u64;
            watch(Event::Bytes(length));
            if length > limit {
                return Ok(Outcome::Complete);
            }
        }
        Ok(match expected {
            Some(expected) if received < expected => {
                Outcome::Broken(format!("broke off after {length} bytes"))
            }
            _ => Outcome::Complete,
        })
    }
}

/// The first byte of `bytes FIRST-LAST/TOTAL`.
fn first_byte(range: &str) -> Option<u64> {
    range.trim().strip_prefix("bytes ")?.split_once('-')?.0.trim().parse().ok()
}

fn explain(error: &ureq::Error) -> String {
    match error {
        ureq::Error::HostNotFound => "the host is not known (is there a network?)".to_owned(),
        ureq::Error::Timeout(_) => format!("no answer in time ({error})"),
        ureq::Error::Io(error) => error.to_string(),
        other => other.to_string(),
    }
}
