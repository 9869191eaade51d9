//! Fetching from servers on loopback that behave and misbehave.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use latent_trainer::data::fetch::{Event, FetchError, FetchOptions, RemoteFile, Source, fetch};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// How a server answers one request.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// As a good server does, ranges included.
    Good,
    /// The whole file, whatever was asked for.
    IgnoreRange,
    /// Good, but the connection ends after so many bytes of the body.
    CutAfter(usize),
    /// As `CutAfter`, but from the start of the file.
    IgnoreRangeCutAfter(usize),
    /// Other bytes of the same length.
    WrongBytes,
    /// Other bytes, and more of them than there should be.
    TooMuch,
    /// A range that was not asked for.
    WrongRange,
    /// Only a status.
    Status(u16),
    /// A little of the body, then silence.
    Hang,
    /// Accepts and says nothing.
    Silent,
    /// Hangs up at once.
    HangUp,
    /// Good, with pauses.
    Slow,
    /// A byte at a time, never a pause as long as a stall.
    Drip,
    /// No HTTP.
    Garbage,
}

struct Server {
    url: String,
    /// The `Range` header of each request, or "".
    requests: Arc<Mutex<Vec<String>>>,
}

/// Serves `content`; request `i` is answered by `answers[i]`, and all further ones by the last.
fn serve(content: &[u8], answers: &[Answer]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(Mutex::new(Vec::new()));
    let (content, answers, seen) = (content.to_vec(), answers.to_vec(), requests.clone());
    // The thread ends with the test's process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(stream) = stream else { return };
            let (content, answers, seen) = (content.clone(), answers.clone(), seen.clone());
            thread::spawn(move || {
                let _ = answer(stream, &content, &answers, &seen);
            });
        }
    });
    Server { url, requests }
}

fn answer(
    stream: TcpStream,
    content: &[u8],
    answers: &[Answer],
    seen: &Mutex<Vec<String>>,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut range = String::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("range")
        {
            range = value.trim().to_owned();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let answer = {
        let mut seen = seen.lock().unwrap();
        seen.push(range.clone());
        answers[(seen.len() - 1).min(answers.len() - 1)]
    };
    let asked: Option<usize> =
        range.strip_prefix("bytes=").and_then(|r| r.strip_suffix('-')).and_then(|r| r.parse().ok());
    let wrong: Vec<u8> = content.iter().map(|b| b ^ 0x55).collect();
    let mut head = |status: &str, length: usize, more: &str| {
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{more}\r\n")
    };
    let total = content.len();
    let ranged = |first: usize| format!("Content-Range: bytes {first}-{}/{total}\r\n", total - 1);
    match answer {
        Answer::Good | Answer::CutAfter(_) | Answer::Hang | Answer::Slow | Answer::Drip => {
            let body = match asked {
                Some(first) if first >= total => return head("416 Range Not Satisfiable", 0, ""),
                Some(first) => {
                    head("206 Partial Content", total - first, &ranged(first))?;
                    &content[first..]
                }
                None => {
                    head("200 OK", total, "")?;
                    content
                }
            };
            match answer {
                Answer::CutAfter(n) => stream.write_all(&body[..n.min(body.len())]),
                Answer::Hang => {
                    stream.write_all(&body[..body.len() / 3])?;
                    stream.flush()?;
                    thread::sleep(Duration::from_secs(20));
                    Ok(())
                }
                Answer::Slow => {
                    for piece in body.chunks(body.len() / 8 + 1) {
                        stream.write_all(piece)?;
                        thread::sleep(Duration::from_millis(30));
                    }
                    Ok(())
                }
                Answer::Drip => {
                    for piece in body.chunks(1) {
                        stream.write_all(piece)?;
                        thread::sleep(Duration::from_millis(40));
                    }
                    Ok(())
                }
                _ => stream.write_all(body),
            }
        }
        Answer::IgnoreRange => {
            head("200 OK", total, "")?;
            stream.write_all(content)
        }
        Answer::IgnoreRangeCutAfter(n) => {
            head("200 OK", total, "")?;
            stream.write_all(&content[..n])
        }
        Answer::WrongBytes => {
            head("200 OK", total, "")?;
            stream.write_all(&wrong)
        }
        Answer::TooMuch => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            // Without a length and without an end: the client has to stop by itself.
            loop {
                stream.write_all(&wrong)?;
            }
        }
        Answer::WrongRange => {
            head("206 Partial Content", total, &ranged(0))?;
            stream.write_all(content)
        }
        Answer::Status(status) => head(&format!("{status} No"), 0, ""),
        Answer::Silent => {
            thread::sleep(Duration::from_secs(20));
            Ok(())
        }
        Answer::HangUp => Ok(()),
        Answer::Garbage => stream.write_all(b"SSH-2.0-OpenSSH_9.0\r\n\r\n"),
    }
}

fn content() -> Vec<u8> {
    (0..300_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect()
}

fn options() -> FetchOptions {
    FetchOptions {
        backoff: Duration::from_millis(1),
        connect_timeout: Duration::from_secs(5),
        stall_timeout: Duration::from_millis(400),
        proxy: false,
        ..FetchOptions::default()
    }
}

/// Fetches one file called `file.bin` into `folder`.
fn fetch_one(
    folder: &Path,
    content: &[u8],
    mirrors: &[&str],
    options: &FetchOptions,
) -> (Result<(), FetchError>, Vec<Event>) {
    let hash = sha256(content);
    let files =
        [RemoteFile { name: "file.bin", bytes: content.len() as u64, sha256: &hash, content_sha256: None }];
    let source = Source { name: "test", mirrors, files: &files };
    let mut events = Vec::new();
    let outcome = fetch(&source, folder, options, &mut |e| events.push(e));
    (outcome, events)
}

#[test]
fn every_way_that_ends_well() {
    let content = content();
    let half = content.len() / 2;
    let wrong_part: Vec<u8> = vec![9; half];
    /// Case, what is there before, answers of one server, Range headers it must have seen.
    type Case<'a> = (&'a str, &'a [u8], Vec<Answer>, Vec<&'a str>);
    let cases: Vec<Case<'_>> = vec![
        ("good", b"", vec![Answer::Good], vec![""]),
        ("slow", b"", vec![Answer::Slow], vec![""]),
        ("continued", &content[..half], vec![Answer::Good], vec!["bytes=150000-"]),
        ("range ignored", &content[..half], vec![Answer::IgnoreRange], vec!["bytes=150000-"]),
        ("cut, then good", b"", vec![Answer::CutAfter(100_000), Answer::Good], vec!["", "bytes=100000-"]),
        (
            "cut again and again",
            b"",
            vec![
                Answer::CutAfter(50_000),
                Answer::CutAfter(50_000),
                Answer::CutAfter(50_000),
                Answer::CutAfter(50_000),
                Answer::CutAfter(50_000),
                Answer::Good,
            ],
            vec!["", "bytes=50000-", "bytes=100000-", "bytes=150000-", "bytes=200000-", "bytes=250000-"],
        ),
        (
            "cut, ranges ignored",
            b"",
            vec![
                Answer::IgnoreRangeCutAfter(70_000),
                Answer::IgnoreRangeCutAfter(120_000),
                Answer::IgnoreRange,
            ],
            vec!["", "bytes=70000-", "bytes=120000-"],
        ),
        ("hangs once", b"", vec![Answer::Hang, Answer::Good], vec!["", "bytes=100000-"]),
        ("silent once", b"", vec![Answer::Silent, Answer::Good], vec!["", ""]),
        ("hangs up once", b"", vec![Answer::HangUp, Answer::Good], vec!["", ""]),
        ("overloaded once", b"", vec![Answer::Status(503), Answer::Good], vec!["", ""]),
        ("part is whole", &content, vec![Answer::Good], vec![]),
        ("part is wrong", &wrong_part, vec![Answer::Good], vec!["bytes=150000-", ""]),
        ("part is too long", &[1; 300_001], vec![Answer::Good], vec!["bytes=300001-", ""]),
    ];
    for (case, before, answers, ranges) in cases {
        let dir = TempDir::new().unwrap();
        let part = dir.path().join("file.bin.part");
        if !before.is_empty() {
            fs::write(&part, before).unwrap();
        }
        let server = serve(&content, &answers);
        let (outcome, events) = fetch_one(dir.path(), &content, &[&server.url], &options());
        outcome.unwrap_or_else(|e| panic!("{case}: {e}"));
        assert!(fs::read(dir.path().join("file.bin")).unwrap() == content, "{case}: content");
        assert!(!part.exists(), "{case}: the part is still there");
        assert_eq!(*server.requests.lock().unwrap(), ranges, "{case}");
        assert_eq!(
            events.last(),
            Some(&Event::Done { file: "file.bin".to_owned(), present: false }),
            "{case}"
        );
    }
}

#[test]
fn another_mirror_helps() {
    let content = content();
    for first in [
        Answer::WrongBytes,
        Answer::TooMuch,
        Answer::Status(404),
        Answer::Status(403),
        Answer::Status(500),
        Answer::Silent,
        Answer::HangUp,
        Answer::Garbage,
    ] {
        let dir = TempDir::new().unwrap();
        let (bad, good) = (serve(&content, &[first]), serve(&content, &[Answer::Good]));
        // A slash at the end of an address does no harm.
        let (outcome, _) =
            fetch_one(dir.path(), &content, &[&format!("{}/", bad.url), &good.url], &options());
        outcome.unwrap_or_else(|e| panic!("{first:?}: {e}"));
        assert!(fs::read(dir.path().join("file.bin")).unwrap() == content, "{first:?}");
        assert_eq!(*good.requests.lock().unwrap(), [""], "{first:?}: nothing wrong was continued");
    }
    // What a mirror gave before it broke is not lost.
    let dir = TempDir::new().unwrap();
    let bad = serve(&content, &[Answer::CutAfter(120_000), Answer::Status(404)]);
    let good = serve(&content, &[Answer::Good]);
    fetch_one(dir.path(), &content, &[&bad.url, &good.url], &options()).0.unwrap();
    assert_eq!(*good.requests.lock().unwrap(), ["bytes=120000-"]);
}

#[test]
fn every_mirror_is_named_when_all_fail() {
    let content = content();
    let dir = TempDir::new().unwrap();
    let gone = {
        // A port that nobody listens on any more.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let servers = [
        (serve(&content, &[Answer::WrongBytes]).url, "wrong bytes"),
        (serve(&content, &[Answer::Status(404)]).url, "404"),
        (serve(&content, &[Answer::Hang]).url, "broke off"),
        (serve(&content, &[Answer::WrongRange]).url, "answered with"),
        (serve(&content, &[Answer::Drip]).url, "too slow"),
        (serve(&content, &[Answer::Silent]).url, "no answer in time"),
        (gone, "refused"),
        ("no address".to_owned(), "no address/file.bin: "),
    ];
    let urls: Vec<&str> = servers.iter().map(|(url, _)| url.as_str()).collect();
    let (outcome, _) = fetch_one(dir.path(), &content, &urls, &options());
    let message = outcome.unwrap_err().to_string();
    let mut lines = message.lines();
    assert_eq!(lines.next(), Some("file.bin could not be downloaded:"));
    for (line, (url, why)) in lines.zip(&servers) {
        assert!(line.contains(url) && line.contains(why), "{url}: {why:?} is not in {line:?}");
    }
    assert_eq!(message.lines().count(), 1 + servers.len());
    assert!(!dir.path().join("file.bin").exists());
}

#[test]
fn a_part_is_kept_for_the_next_run() {
    let content = content();
    let dir = TempDir::new().unwrap();
    let server = serve(&content, &[Answer::CutAfter(200_000), Answer::HangUp]);
    let (outcome, _) = fetch_one(dir.path(), &content, &[&server.url], &options());
    assert!(matches!(outcome, Err(FetchError::Mirrors { .. })));
    assert!(fs::read(dir.path().join("file.bin.part")).unwrap() == content[..200_000]);
    let server = serve(&content, &[Answer::Good]);
    fetch_one(dir.path(), &content, &[&server.url], &options()).0.unwrap();
    assert_eq!(*server.requests.lock().unwrap(), ["bytes=200000-"]);
    // Where nothing came at all, nothing is left.
    let dir = TempDir::new().unwrap();
    let folder = dir.path().join("set");
    let server = serve(&content, &[Answer::Status(404)]);
    assert!(fetch_one(&folder, &content, &[&server.url], &options()).0.is_err());
    assert!(!folder.exists());
}

#[test]
fn what_is_there_is_checked_and_kept() {
    let content = content();
    let dir = TempDir::new().unwrap();
    let place = dir.path().join("file.bin");
    fs::write(&place, &content).unwrap();
    let server = serve(&content, &[Answer::Good]);
    let (outcome, events) = fetch_one(dir.path(), &content, &[&server.url], &options());
    outcome.unwrap();
    assert_eq!(events.last(), Some(&Event::Done { file: "file.bin".to_owned(), present: true }));
    assert!(server.requests.lock().unwrap().is_empty());
    fs::write(&place, b"something of mine").unwrap();
    let message = fetch_one(dir.path(), &content, &[&server.url], &options()).0.unwrap_err().to_string();
    assert!(message.contains("file.bin") && message.contains("--force"), "{message}");
    assert_eq!(fs::read(&place).unwrap(), b"something of mine");
    let force = FetchOptions { force: true, ..options() };
    fetch_one(dir.path(), &content, &[&server.url], &force).0.unwrap();
    assert!(fs::read(&place).unwrap() == content);
}

#[test]
fn files_from_a_folder() {
    use flate2::{Compression, write::GzEncoder};
    let pack = |bytes: &[u8], level: u32| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    };
    let content: Vec<u8> = (0..20_000u32).map(|i| (i / 7) as u8).collect();
    let packed = pack(&content, 9);
    let (hash, content_hash) = (sha256(&packed), sha256(&content));
    let files = [RemoteFile {
        name: "x-idx3-ubyte.gz",
        bytes: packed.len() as u64,
        sha256: &hash,
        content_sha256: Some(&content_hash),
    }];
    let source = Source { name: "test", mirrors: &["http://127.0.0.1:1"], files: &files };
    let run = |from: &Path, to: &Path| {
        let options = FetchOptions { from: Some(from.to_owned()), ..options() };
        fetch(&source, to, &options, &mut |_| {})
    };
    // The official file, one gzipped anew, and plain ones under the customary names.
    for (name, bytes) in [
        ("x-idx3-ubyte.gz", packed.clone()),
        ("x-idx3-ubyte.gz", pack(&content, 1)),
        ("x.idx3-ubyte", content.clone()),
        ("raw/x-idx3-ubyte", content.clone()),
    ] {
        let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let path = from.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, &bytes).unwrap();
        run(from.path(), to.path()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let copied = to.path().join(Path::new(name).file_name().unwrap());
        assert!(fs::read(copied).unwrap() == bytes, "{name}");
        // It is recognized the next time, whatever its name.
        run(&from.path().join("none"), to.path()).unwrap_or_else(|e| panic!("{name}, again: {e}"));
    }
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let message = run(from.path(), to.path()).unwrap_err().to_string();
    assert!(message.contains("x-idx3-ubyte.gz") && message.contains("x.idx3-ubyte"), "{message}");
    for bytes in [&b"wrong"[..], &packed[..packed.len() - 5], &pack(&[0; 1 << 22], 9)] {
        fs::write(from.path().join("x-idx3-ubyte.gz"), bytes).unwrap();
        let message = run(from.path(), to.path()).unwrap_err().to_string();
        assert!(message.contains("x-idx3-ubyte.gz") && message.contains(&hash), "{message}");
    }
    assert!(to.path().read_dir().map_or(true, |mut d| d.next().is_none()), "nothing wrong was copied");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_removes_nothing() {
    let content = content();
    let dir = TempDir::new().unwrap();
    // Writes to /dev/full fail as on a full disk.
    let part = dir.path().join("file.bin.part");
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    let server = serve(&content, &[Answer::Good]);
    let (outcome, _) = fetch_one(dir.path(), &content, &[&server.url], &options());
    let error = outcome.unwrap_err();
    assert!(matches!(error, FetchError::Write { .. }), "{error}");
    let message = error.to_string();
    assert!(message.contains("file.bin.part") && message.contains("nothing was removed"), "{message}");
    assert!(part.exists());
}

#[test]
fn two_at_once_do_not_mix() {
    let content = content();
    let dir = TempDir::new().unwrap();
    let part = fs::File::create(dir.path().join("file.bin.part")).unwrap();
    part.lock().unwrap();
    let server = serve(&content, &[Answer::Good]);
    let error = fetch_one(dir.path(), &content, &[&server.url], &options()).0.unwrap_err();
    assert!(matches!(error, FetchError::Busy { .. }), "{error}");
    drop(part);
    fetch_one(dir.path(), &content, &[&server.url], &options()).0.unwrap();
}

/// The program itself: interrupted by Ctrl-C it leaves a part, and its exit codes and messages are as promised.
#[cfg(unix)]
#[test]
fn the_program_can_be_interrupted() {
    use std::process::{Command, Stdio};
    let trainer = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trainer"));
        for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy"] {
            command.env_remove(name);
        }
        command
    };
    let content = content();
    let dir = TempDir::new().unwrap();
    let server = serve(&content, &[Answer::Hang]);
    let mut child = trainer()
        .args(["data", "fetch", "cifar10", "--mirror", &server.url, "--data-dir"])
        .arg(dir.path())
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let part = dir.path().join("cifar10/cifar-10-binary.tar.gz.part");
    // The server sends a third and then nothing. On a busy machine it may have been given up and asked again by the time this
    // looks, so how much has come is not said here.
    for _ in 0..6000 {
        if fs::metadata(&part).is_ok_and(|m| m.len() >= 100_000) {
            break;
        }
        thread::sleep(Duration::from_millis(10));
    }
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(status.success());
    assert!(!child.wait().unwrap().success());
    let kept = fs::read(&part).unwrap();
    assert!(!kept.is_empty() && content.starts_with(&kept), "{} bytes were kept", kept.len());

    let server = serve(&content, &[Answer::Status(404)]);
    let output = trainer()
        .args(["data", "fetch", "cifar10", "--mirror", &server.url, "--data-dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(
        message.contains(&server.url) && message.contains("404") && message.contains("--from"),
        "{message}"
    );
    assert_eq!(*server.requests.lock().unwrap(), [format!("bytes={}-", kept.len())]);
    assert_eq!(trainer().args(["data", "fetch", "imagenet"]).output().unwrap().status.code(), Some(2));
}
