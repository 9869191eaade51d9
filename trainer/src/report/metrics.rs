//! The table of figures over iterations, `metrics.csv`.
//!
//! Plain CSV: a header (`iteration` and the columns' names), then one row per iteration. Floats are written in the
//! shortest form that reads back to the same bits (in pandas with `float_precision="round_trip"`); `NaN`, `inf` and `-inf`
//! are spelled so, and an empty field means "not measured in this iteration".

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use latent_files::atomic::{self, Existing};
use latent_files::regular;

use super::at;

/// Rows reach the operating system at the latest this long after they were appended (and another row came).
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// A line for each of many millions of iterations.
const MAX_BYTES: u64 = 4 << 30;

fn content(path: &Path) -> io::Result<Vec<u8>> {
    regular::read(path, MAX_BYTES).map_err(|error| at(path, "read")(error.into()))
}

/// Why a metrics file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The file system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the metrics column name {name:?} is empty, doubled, or has a comma, quote or line break in it")]
    ColumnName { name: String },
    /// The file does not start with a header `iteration,...`.
    #[error(
        "{path} is not a metrics file: its first line is {found:?}, expected a header that starts with \"iteration,\""
    )]
    Header {
        path: PathBuf,
        /// Its first line, shortened.
        found: String,
    },
    #[error("{path}, line {line}: {reason}")]
    Row {
        path: PathBuf,
        /// Line number, from 1.
        line: usize,
        reason: String,
    },
    #[error("a metrics row has {found} values, the file has {expected} columns")]
    Width {
        /// Values given.
        found: usize,
        /// Columns of the file, without `iteration`.
        expected: usize,
    },
    #[error("a metrics row for iteration {found} cannot follow the one for iteration {last}")]
    Order {
        /// The row's iteration.
        found: u64,
        /// The iteration of the row before.
        last: u64,
    },
}

/// Appends rows to a metrics file.
///
/// Rows are buffered and handed to the operating system about once a second, so that appending costs well under a
/// microsecond; [`MetricsLog::sync`] before a checkpoint makes sure that the file is never behind the checkpoint.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    columns: Vec<String>,
    last: Option<u64>,
    writer: BufWriter<File>,
    line: String,
    flushed: Instant,
}

impl MetricsLog {
    /// Starts a new file with the columns `iteration` and `columns`.
    ///
    /// # Errors
    /// [`MetricsError::ColumnName`]; [`MetricsError::Io`] if the file exists already or cannot be written.
    pub fn create(path: impl AsRef<Path>, columns: &[&str]) -> Result<Self, MetricsError> {
        let path = path.as_ref();
        for (index, name) in columns.iter().enumerate() {
            let bad = |c: char| matches!(c, ',' | '"' | '\n' | '\r');
            if name.is_empty()
                || name.contains(bad)
                || *name == "iteration"
                || columns[..index].contains(name)
            {
                return Err(MetricsError::ColumnName { name: (*name).to_owned() });
            }
        }
        let file = OpenOptions::new().write(true).create_new(true).open(path).map_err(at(path, "create"))?;
        let mut log = Self {
            path: path.to_owned(),
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            last: None,
            writer: BufWriter::with_capacity(1 << 16, file),
            line: String::new(),
            flushed: Instant::now(),
        };
        let mut header = String::from("iteration");
        for name in columns {
            header.push(',');
            header.push_str(name);
        }
        header.push('\n');
        log.writer.write_all(header.as_bytes()).map_err(at(path, "write"))?;
        log.flush()?;
        Ok(log)
    }

    /// Goes on with a file: rows after iteration `after`, and a last line that was cut off in the middle (by a killed
    /// process or a full disk), are removed, in one atomic step; the next row goes behind what is left.
    ///
    /// # Errors
    /// [`MetricsError::Io`] if the file cannot be read or written, [`MetricsError::Header`] and [`MetricsError::Row`] if a
    /// part of it that is to be kept is no metrics table.
    pub fn resume(path: impl AsRef<Path>, after: u64) -> Result<Self, MetricsError> {
        let path = path.as_ref();
        let text = content(path)?;
        let parsed = parse(path, &text, Some(after))?;
        if parsed.kept_bytes < text.len() {
            atomic::write_file(path, &text[..parsed.kept_bytes], Existing::Replace)?;
        }
        let file = OpenOptions::new().append(true).open(path).map_err(at(path, "open"))?;
        Ok(Self {
            path: path.to_owned(),
            last: parsed.metrics.iterations.last().copied(),
            columns: parsed.metrics.columns,
            writer: BufWriter::with_capacity(1 << 16, file),
            line: String::new(),
            flushed: Instant::now(),
        })
    }

    /// Goes on with more columns than the file has, if its own are the first of these: earlier rows get empty fields.
    ///
    /// # Errors
    /// [`MetricsError::Width`] if the file has other columns, [`MetricsError::Io`].
    pub fn with_columns(self, columns: &[&str]) -> Result<Self, MetricsError> {
        if self.columns == columns {
            return Ok(self);
        }
        let more = columns.strip_prefix(&self.columns.iter().map(String::as_str).collect::<Vec<_>>()[..]);
        let Some(more) = more else {
            return Err(MetricsError::Width { found: columns.len(), expected: self.columns.len() });
        };
        let text = String::from_utf8_lossy(&content(&self.path)?).into_owned();
        let mut lines = text.lines();
        let mut wider = format!("{},{}\n", lines.next().unwrap_or_default(), more.join(","));
        for line in lines {
            wider += line;
            wider.extend(std::iter::repeat_n(',', more.len()));
            wider.push('\n');
        }
        atomic::write_file(&self.path, wider.as_bytes(), Existing::Replace)?;
        Self::resume(&self.path, u64::MAX)
    }

    /// The columns' names, without `iteration`.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The iteration of the last row, if there is one.
    pub fn last_iteration(&self) -> Option<u64> {
        self.last
    }

    /// Appends a row: one value per column. Iterations must increase.
    ///
    /// # Errors
    /// [`MetricsError::Width`], [`MetricsError::Order`], [`MetricsError::Io`].
    pub fn append(&mut self, iteration: u64, values: &[f64]) -> Result<(), MetricsError> {
        self.append_with(iteration, values.len(), values.iter().map(|value| Some(*value)))
    }

    /// As [`MetricsLog::append`], with `None` for a figure that was not measured in this iteration.
    pub fn append_sparse(&mut self, iteration: u64, values: &[Option<f64>]) -> Result<(), MetricsError> {
        self.append_with(iteration, values.len(), values.iter().copied())
    }

    fn append_with(
        &mut self,
        iteration: u64,
        count: usize,
        values: impl Iterator<Item = Option<f64>>,
    ) -> Result<(), MetricsError> {
        if count != self.columns.len() {
            return Err(MetricsError::Width { found: count, expected: self.columns.len() });
        }
        if let Some(last) = self.last.filter(|last| *last >= iteration) {
            return Err(MetricsError::Order { found: iteration, last });
        }
        self.line.clear();
        // Writing to a String cannot fail.
        let _ = write!(self.line, "{iteration}");
        for value in values {
            self.line.push(',');
            if let Some(value) = value {
                // Debug is the shortest round-trip form, with an exponent where that is shorter.
                let _ = write!(self.line, "{value:?}");
            }
        }
        self.line.push('\n');
        self.writer.write_all(self.line.as_bytes()).map_err(at(&self.path, "write"))?;
        self.last = Some(iteration);
        if self.flushed.elapsed() >= FLUSH_EVERY {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands all rows to the operating system: other programs see them, and they survive the end of this process.
    pub fn flush(&mut self) -> Result<(), MetricsError> {
        self.writer.flush().map_err(at(&self.path, "write"))?;
        self.flushed = Instant::now();
        Ok(())
    }

    /// As [`MetricsLog::flush`], and waits until the rows are on the disk: they survive a power cut.
    pub fn sync(&mut self) -> Result<(), MetricsError> {
        self.flush()?;
        self.writer.get_ref().sync_data().map_err(at(&self.path, "write"))?;
        Ok(())
    }
}

/// A metrics file in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics {
    /// The columns' names, without `iteration`.
    pub columns: Vec<String>,
    /// The iteration of each row, increasing.
    pub iterations: Vec<u64>,
    /// `values[column][row]`; `None` where nothing was measured.
    pub values: Vec<Vec<Option<f64>>>,
}

impl Metrics {
    /// Reads a metrics file; a last line that was cut off is left out.
    ///
    /// # Errors
    /// [`MetricsError::Io`], [`MetricsError::Header`], [`MetricsError::Row`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, MetricsError> {
        let path = path.as_ref();
        let text = content(path)?;
        Ok(parse(path, &text, None)?.metrics)
    }

    pub fn column(&self, name: &str) -> Option<&[Option<f64>]> {
        let index = self.columns.iter().position(|column| column == name)?;
        Some(&self.values[index])
    }

    /// A column's measured values with their iterations.
    pub fn series(&self, name: &str) -> Option<Vec<(u64, f64)>> {
        let column = self.column(name)?;
        Some(self.iterations.iter().zip(column).filter_map(|(at, value)| Some((*at, (*value)?))).collect())
    }
}

struct Parsed {
    metrics: Metrics,
    /// Length of the header and the kept rows.
    kept_bytes: usize,
}

/// Parses the header and the rows up to and with iteration `after`. A last line without a line break is torn and not kept.
fn parse(path: &Path, text: &[u8], after: Option<u64>) -> Result<Parsed, MetricsError> {
    let mut lines = text.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let header = std::str::from_utf8(first).ok().and_then(|line| line.strip_suffix('\n')).map(trim_return);
    let mut names = header.unwrap_or_default().split(',');
    if header.is_none() || names.next() != Some("iteration") {
        let found = String::from_utf8_lossy(first).trim_end().chars().take(60).collect();
        return Err(MetricsError::Header { path: path.to_owned(), found });
    }
    let columns: Vec<String> = names.map(str::to_owned).collect();
    let mut metrics = Metrics { values: vec![Vec::new(); columns.len()], columns, iterations: Vec::new() };
    let mut kept_bytes = first.len();
    for (index, bytes) in lines.enumerate() {
        let bad = |reason: String| MetricsError::Row { path: path.to_owned(), line: index + 2, reason };
        if bytes.last() != Some(&b'\n') {
            break;
        }
        let line = std::str::from_utf8(bytes).map_err(|_| bad("not text".to_owned()))?;
        let mut fields = trim_return(line.trim_end_matches('\n')).split(',');
        let iteration = fields.next().unwrap_or_default();
        let iteration: u64 = iteration
            .parse()
            .map_err(|_| bad(format!("the iteration is {iteration:?}, expected a whole number")))?;
        if after.is_some_and(|after| iteration > after) {
            break;
        }
        if let Some(last) = metrics.iterations.last().filter(|last| **last >= iteration) {
            return Err(bad(format!("iteration {iteration} follows iteration {last}; they must increase")));
        }
        let mut row = Vec::with_capacity(metrics.columns.len());
        for field in fields {
            row.push(match field {
                "" => None,
                number => Some(
                    number
                        .parse::<f64>()
                        .map_err(|_| bad(format!("{number:?} is not a number (column {})", row.len() + 2)))?,
                ),
            });
        }
        if row.len() != metrics.columns.len() {
            let (found, expected) = (row.len(), metrics.columns.len());
            return Err(bad(format!("{found} values, expected {expected} as in the header")));
        }
        metrics.iterations.push(iteration);
        for (column, value) in metrics.values.iter_mut().zip(row) {
            column.push(value);
        }
        kept_bytes += bytes.len();
    }
    Ok(Parsed { metrics, kept_bytes })
}

fn trim_return(line: &str) -> &str {
    line.strip_suffix('\r').unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("temporary folder")
    }

    #[test]
    fn floats_come_back_bit_for_bit() {
        let dir = folder();
        let path = dir.path().join("metrics.csv");
        let mut values = vec![
            0.0,
            -0.0,
            1.0,
            0.1,
            f64::from(0.1f32),
            2.0 * std::f64::consts::LN_2,
            1e-7,
            -3.25e300,
            f64::MIN_POSITIVE,
            5e-324,
            f64::MAX,
            f64::INFINITY,
            f64::NEG_INFINITY,
        ];
        let mut rng = latent_runtime::rng::Rng::from_seed(1);
        values.extend((0..2000).map(|_| f64::from_bits(rng.next_u64())).filter(|value| !value.is_nan()));
        let mut log = MetricsLog::create(&path, &["a", "b"]).unwrap();
        for (row, value) in values.iter().enumerate() {
            log.append(row as u64, &[*value, f64::NAN]).unwrap();
        }
        log.flush().unwrap();
        let read = Metrics::read(&path).unwrap();
        assert_eq!(read.columns, ["a", "b"]);
        assert_eq!(read.iterations.len(), values.len());
        for (found, expected) in read.column("a").unwrap().iter().zip(&values) {
            assert_eq!(found.unwrap().to_bits(), expected.to_bits(), "{expected:?}");
        }
        assert!(read.column("b").unwrap().iter().all(|value| value.unwrap().is_nan()));
    }

    #[test]
    fn missing_values_are_empty_fields() {
        let dir = folder();
        let path = dir.path().join("metrics.csv");
        let mut log = MetricsLog::create(&path, &["d_loss", "g_loss", "diversity"]).unwrap();
        log.append_sparse(1, &[Some(1.25), Some(0.5), None]).unwrap();
        log.append_sparse(2, &[Some(1.5), None, Some(0.25)]).unwrap();
        log.flush().unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "iteration,d_loss,g_loss,diversity\n1,1.25,0.5,\n2,1.5,,0.25\n"
        );
        assert_eq!(Metrics::read(&path).unwrap().series("diversity").unwrap(), [(2, 0.25)]);
    }

    #[test]
    fn a_run_of_an_older_version_goes_on_with_more_columns() {
        let dir = folder();
        let path = dir.path().join("metrics.csv");
        fs::write(&path, "iteration,d,g\n1,1.0,2.0\n2,1.0,\n").unwrap();
        let mut log =
            MetricsLog::resume(&path, 2).unwrap().with_columns(&["d", "g", "more", "most"]).unwrap();
        log.append(3, &[1.0, 2.0, 3.0, 4.0]).unwrap();
        log.flush().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text, "iteration,d,g,more,most\n1,1.0,2.0,,\n2,1.0,,,\n3,1.0,2.0,3.0,4.0\n");
        assert!(MetricsLog::resume(&path, 3).unwrap().with_columns(&["g"]).is_err());
    }

    #[test]
    fn resume_cuts_off_later_rows_and_torn_lines() {
        let head = "iteration,d,g\n";
        let cases: &[(&str, &str, u64, &str)] = &[
            ("nothing to cut", "1,1.0,2.0\n2,1.0,2.0\n", 2, "1,1.0,2.0\n2,1.0,2.0\n"),
            ("file behind the checkpoint", "1,1.0,2.0\n", 9, "1,1.0,2.0\n"),
            ("later rows", "1,1.0,2.0\n2,1.0,2.0\n3,1.0,2.0\n", 1, "1,1.0,2.0\n"),
            ("all rows", "5,1.0,2.0\n6,1.0,2.0\n", 4, ""),
            ("no rows", "", 4, ""),
            ("torn in a number", "1,1.0,2.0\n2,1.0,2.0\n3,1.0,2", 3, "1,1.0,2.0\n2,1.0,2.0\n"),
            ("torn behind a number", "1,1.0,2.0\n2,1.0,2.0", 3, "1,1.0,2.0\n"),
            ("torn in the iteration", "1,1.0,2.0\n2", 3, "1,1.0,2.0\n"),
            ("torn, and later anyway", "1,1.0,2.0\n7,1.", 1, "1,1.0,2.0\n"),
            ("zeros of an unfinished block", "1,1.0,2.0\n\0\0\0\0", 3, "1,1.0,2.0\n"),
            ("rubbish behind the cut", "1,1.0,2.0\n2,1.0,2.0\nrubbish", 1, "1,1.0,2.0\n"),
        ];
        for (name, rows, after, kept) in cases {
            let dir = folder();
            let path = dir.path().join("metrics.csv");
            fs::write(&path, format!("{head}{rows}")).unwrap();
            let mut log = MetricsLog::resume(&path, *after).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{head}{kept}"), "{name}");
            log.append(after + 1, &[0.5, 0.25]).unwrap();
            log.sync().unwrap();
            let row = format!("{},0.5,0.25\n", after + 1);
            assert_eq!(fs::read_to_string(&path).unwrap(), format!("{head}{kept}{row}"), "{name}");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{name}: nothing is left beside");
        }
    }

    #[test]
    fn an_interrupted_and_resumed_file_equals_an_uninterrupted_one() {
        let dir = folder();
        let (whole, broken) = (dir.path().join("whole.csv"), dir.path().join("broken.csv"));
        let row = |i: u64| [f64::from(i as u32).sin(), 1.0 / (i as f64 + 0.3)];
        let mut log = MetricsLog::create(&whole, &["x", "y"]).unwrap();
        (0..50).for_each(|i| log.append(i, &row(i)).unwrap());
        log.flush().unwrap();
        let mut log = MetricsLog::create(&broken, &["x", "y"]).unwrap();
        (0..33).for_each(|i| log.append(i, &row(i)).unwrap());
        drop(log);
        let mut log = MetricsLog::resume(&broken, 19).unwrap();
        assert_eq!(log.last_iteration(), Some(19));
        (20..50).for_each(|i| log.append(i, &row(i)).unwrap());
        drop(log);
        assert_eq!(fs::read(&whole).unwrap(), fs::read(&broken).unwrap());
    }

    #[test]
    fn wrong_files_and_rows_are_refused_with_their_place() {
        let dir = folder();
        let path = dir.path().join("metrics.csv");
        let cases: &[(&[u8], &str)] = &[
            (b"", "not a metrics file"),
            (b"iteration,d", "not a metrics file"),
            (b"step,d\n1,2\n", "\"step,d\""),
            (b"iteration,d\nx,2\n", "line 2: the iteration is \"x\""),
            (b"iteration,d\n1,2\n2,abc\n", "line 3: \"abc\" is not a number"),
            (b"iteration,d\n1,2,3\n", "line 2: 2 values, expected 1"),
            (b"iteration,d\n1\n", "line 2: 0 values, expected 1"),
            (b"iteration,d\n2,1\n2,1\n", "line 3: iteration 2 follows iteration 2"),
            (b"iteration,d\n\xff,1\n", "line 2: not text"),
        ];
        for (content, expected) in cases {
            fs::write(&path, content).unwrap();
            for error in [MetricsLog::resume(&path, 9).unwrap_err(), Metrics::read(&path).unwrap_err()] {
                let message = error.to_string();
                assert!(message.contains(expected), "{message:?} should say {expected:?}");
                assert!(message.contains("metrics.csv"), "{message}");
            }
        }
        fs::remove_file(&path).unwrap();
        assert!(MetricsLog::resume(&path, 9).unwrap_err().to_string().contains("cannot read"));

        let mut log = MetricsLog::create(&path, &["d", "g"]).unwrap();
        assert!(matches!(log.append(1, &[1.0]), Err(MetricsError::Width { found: 1, expected: 2 })));
        log.append(1, &[1.0, 1.0]).unwrap();
        assert!(matches!(log.append(1, &[1.0, 1.0]), Err(MetricsError::Order { found: 1, last: 1 })));
        assert!(MetricsLog::create(&path, &["d"]).unwrap_err().to_string().contains("cannot create"));
        for names in [&["a,b"][..], &[""], &["a", "a"], &["iteration"], &["a\n"]] {
            assert!(matches!(
                MetricsLog::create(dir.path().join("x.csv"), names),
                Err(MetricsError::ColumnName { .. })
            ));
        }
    }
}
