//! Plain text tables.

/// Lines up `rows` in columns, numbers to the right. The first row is the heading.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let column = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let width = |index| column(index).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let is_number =
        |cell: &String| cell.chars().all(|letter| letter.is_ascii_digit() || " .".contains(letter));
    let numeric = |index| column(index).count() > 1 && column(index).skip(1).all(is_number);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let numeric: Vec<bool> = (0..columns).map(numeric).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().enumerate().map(|(column, cell)| {
            let width = widths[column];
            if numeric[column] { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The number with its digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_three() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1 000"), (26_700_036, "26 700 036")] {
            assert_eq!(grouped(number), text);
        }
    }

    #[test]
    fn numbers_stand_right() {
        let rows =
            [["file", "bytes"], ["a.onnx", "7"], ["b", "1 200"]].map(|row| row.map(String::from).to_vec());
        assert_eq!(table(&rows), "file    bytes\na.onnx      7\nb       1 200\n");
    }
}
