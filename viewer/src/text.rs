//! Numbers for people.

pub use latent_files::text::size;

/// Seconds with three significant digits, in the unit that suits: `84.2 µs`, `1.20 ms`, `1.05 s`.
pub fn duration(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 999.5e-6 => (s * 1e6, "µs"),
        s if s < 999.5e-3 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    let digits = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.digits$} {unit}")
}

/// Text that fits `characters`, cut in the middle if it must be.
pub fn shortened(text: &str, characters: usize) -> String {
    let length = text.chars().count();
    if length <= characters {
        return text.to_owned();
    }
    let kept = characters.saturating_sub(1);
    let (head, tail) = (kept.div_ceil(2), kept / 2);
    text.chars().take(head).chain(['…']).chain(text.chars().skip(length - tail)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_their_units() {
        for (seconds, expected) in [
            (0.0, "0.00 µs"),
            (84.21e-6, "84.2 µs"),
            (999.9e-6, "1.00 ms"),
            (0.0123, "12.3 ms"),
            (0.5, "500 ms"),
            (9.999, "10.0 s"),
        ] {
            assert_eq!(duration(seconds), expected);
        }
    }

    #[test]
    fn long_text_is_cut_in_the_middle() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefgh", 6), "abc…gh");
        assert_eq!(shortened("äöü", 0), "…");
    }
}
