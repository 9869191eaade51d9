//! Text for people: aligned columns, grouped digits, sizes.

use std::borrow::Cow;

/// Control characters escaped: names in a model file are other people's, and go to a terminal.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
        Cow::Owned(text.chars().map(escape).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// A seed, as an option gives it.
///
/// # Errors
/// With what seeds are, for anything else.
pub fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("seeds are whole numbers from 0 to {}", u64::MAX))
}

/// `6675009` as `6 675 009`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// Bytes in the unit that suits, decimal as file managers have it: `26.7 MB`.
pub fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let (mut value, mut unit) = (bytes as f64 / 1000.0, 0);
    // 999.95 kB would print as 1000.0 kB.
    while value >= 999.95 && unit + 1 < units.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

/// How a column is aligned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// To the left.
    Left,
    /// To the right, as numbers are.
    Right,
}

/// Rows as lines of aligned columns, indented by two spaces, two spaces between columns.
pub fn table(align: &[Align], rows: &[Vec<String>]) -> String {
    lines("  ", align, rows)
}

/// Rows as lines of aligned columns, two spaces between them. The first row is the heading; columns of numbers stand to the
/// right.
pub fn table_with_head(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let is_number =
        |cell: &String| cell.chars().all(|letter| letter.is_ascii_digit() || " .".contains(letter));
    let align = |column: usize| {
        let mut cells = rows.iter().skip(1).filter_map(|row| row.get(column)).peekable();
        if cells.peek().is_some() && cells.all(is_number) { Align::Right } else { Align::Left }
    };
    lines("", &(0..columns).map(align).collect::<Vec<_>>(), rows)
}

/// Names and values, one pair a line, the values below one another.
pub fn list(pairs: &[(&str, String)]) -> String {
    let rows: Vec<_> = pairs.iter().map(|(name, value)| vec![(*name).to_owned(), value.clone()]).collect();
    lines("", &[Align::Left; 2], &rows)
}

fn lines(indent: &str, align: &[Align], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<Cow<'_, str>>> =
        rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..align.len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(align).zip(&widths).map(|((cell, align), &width)| {
            // Not by the formatter, whose widths end at 65 535: other people's names have any length.
            let padding = " ".repeat(width - cell.chars().count());
            match align {
                Align::Left => format!("{cell}{padding}"),
                Align::Right => format!("{padding}{cell}"),
            }
        });
        let line = format!("{indent}{}", cells.collect::<Vec<_>>().join("  "));
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_sized() {
        for (number, expected) in [(0, "0"), (999, "999"), (1000, "1 000"), (6675009, "6 675 009")] {
            assert_eq!(grouped(number), expected);
        }
        for (bytes, expected) in
            [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (26_700_000, "26.7 MB"), (999_999, "1.0 MB")]
        {
            assert_eq!(size(bytes), expected);
        }
    }

    #[test]
    fn seeds_are_whole_numbers() {
        assert_eq!((seed("0"), seed("18446744073709551615")), (Ok(0), Ok(u64::MAX)));
        for text in ["-1", "1.5", "", "x", "18446744073709551616"] {
            assert!(seed(text).unwrap_err().contains("from 0 to 18446744073709551615"), "{text}");
        }
    }

    #[test]
    fn columns_are_aligned_and_control_characters_escaped() {
        let long = "x".repeat(70_000);
        let table_of_long =
            table(&[Align::Left, Align::Right], &[vec![long.clone(), "1".into()], vec!["y".into(), long]]);
        assert!(table_of_long.lines().all(|line| line.len() == 2 + 70_000 + 2 + 70_000));
        let rows = vec![vec!["a".into(), "1".into()], vec!["long\u{1b}[2J".into(), "23".into()]];
        let expected = "  a               1\n  long\\u{1b}[2J  23\n";
        assert_eq!(table(&[Align::Left, Align::Right], &rows), expected);
        let rows =
            [["file", "bytes"], ["a.onnx", "7"], ["b", "1 200"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(table_with_head(&rows), "file    bytes\na.onnx      7\nb       1 200\n");
        assert_eq!(list(&[("a", "1".into()), ("long", String::new())]), "a     1\nlong\n");
    }
}
