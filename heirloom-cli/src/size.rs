//! Sizes in bytes, as users write and read them.

use std::str::FromStr;

/// The units, each 1024 times the one before.
const UNITS: [char; 4] = ['K', 'M', 'G', 'T'];

/// A size in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(size: &str) -> Result<Self, String> {
        let (digits, unit) = split(size, |character| character.is_ascii_digit());
        let shift = match unit {
            "" | "B" => Some(0),
            "K" | "KiB" => Some(10),
            "M" | "MiB" => Some(20),
            "G" | "GiB" => Some(30),
            "T" | "TiB" => Some(40),
            _ => None,
        };
        let Some(shift) = shift.filter(|_| !digits.is_empty()) else {
            return Err(match meant(size) {
                Some((written, bytes)) => format!("{size:?} is not a size: for {bytes} bytes, write {written}"),
                None => format!("{size:?} is not a size: expected digits and an optional suffix K, M, G or T"),
            });
        };
        let number = digits.parse().ok();
        let bytes = number.and_then(|number: u64| number.checked_mul(1 << shift));
        bytes.map(Self).ok_or_else(|| format!("{size:?} is more than a region can hold"))
    }
}

/// Splits text after the leading characters of a class.
fn split(text: &str, class: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|character| !class(character)).unwrap_or(text.len()))
}

/// Returns how to write a size that is written as elsewhere, such as `1.5 mb`, and its bytes.
fn meant(size: &str) -> Option<(String, u64)> {
    let (number, unit) = split(size.trim(), |character| character.is_ascii_digit() || character == '.');
    let unit = unit.trim_start().to_ascii_uppercase();
    let shift = match unit.strip_suffix("IB").or(unit.strip_suffix('B')).unwrap_or(&unit) {
        "" => 0,
        letter => 10 * (1 + UNITS.iter().position(|unit| letter == unit.to_string())?),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let number: u128 = format!("{whole}{fraction}").parse().ok()?;
    let divisor = 10_u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let bytes = number.checked_mul(1 << shift)?;
    let bytes = u64::try_from(bytes / divisor).ok().filter(|whole| u128::from(*whole) * divisor == bytes)?;
    let largest = (1..=UNITS.len()).rev().find(|power| bytes > 0 && bytes % (1 << (10 * power)) == 0);
    let written = largest.map_or(bytes.to_string(), |power| format!("{}{}", bytes >> (10 * power), UNITS[power - 1]));
    Some((written, bytes))
}

/// Returns a size for people: bytes below 1 KiB, above that rounded to at most one digit after the point. The units have
/// the same width, so that numbers in a column align.
pub fn human(bytes: u64) -> String {
    let tenths = |shift: usize| (10 * u128::from(bytes) + (1 << shift >> 1)) >> shift;
    let units = ["B  ", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    // What would be rounded to 1024 of a unit is 1 of the next.
    let power = (0..units.len() - 1).find(|power| tenths(10 * power) < 10_240).unwrap_or(units.len() - 1);
    let (number, unit) = (tenths(10 * power), units[power]);
    match number % 10 {
        0 => format!("{} {unit}", number / 10),
        tenth => format!("{}.{tenth} {unit}", number / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_an_optional_suffix() {
        for (written, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("5B", 5),
            ("64K", 65_536),
            ("64KiB", 65_536),
            ("1M", 1 << 20),
            ("2G", 2 << 30),
            ("3T", 3 << 40),
            ("16777215T", 16_777_215 << 40),
        ] {
            assert_eq!(written.parse::<Size>().unwrap().0, bytes, "{written}");
        }
        for bad in ["16777216T", "99999999999999999999"] {
            assert!(bad.parse::<Size>().unwrap_err().ends_with("is more than a region can hold"), "{bad}");
        }
    }

    #[test]
    fn sizes_written_otherwise_are_answered_with_advice() {
        for (written, advice) in [
            ("1MB", "for 1048576 bytes, write 1M"),
            ("1m", "for 1048576 bytes, write 1M"),
            ("1 G", "for 1073741824 bytes, write 1G"),
            ("1.5M", "for 1572864 bytes, write 1536K"),
            ("0.5kib", "for 512 bytes, write 512"),
            (".5G", "for 536870912 bytes, write 512M"),
            ("2048k", "for 2097152 bytes, write 2M"),
            (" 10 b", "for 10 bytes, write 10"),
            ("0.0M", "for 0 bytes, write 0"),
        ] {
            assert_eq!(written.parse::<Size>().unwrap_err(), format!("{written:?} is not a size: {advice}"));
            let (_, again) = advice.rsplit_once(' ').unwrap();
            assert_eq!(again.parse::<Size>().unwrap().0, meant(written).unwrap().1);
        }
        let endless = format!("1.{}1M", "0".repeat(60));
        for bad in [
            "",
            "K",
            ".",
            "12Q",
            "-1",
            "+1",
            "0x10",
            "1KK",
            "1_000",
            "1.1M",
            "1..5K",
            "1,5M",
            "1e6",
            "99999999T m",
            &endless,
        ] {
            let error = bad.parse::<Size>().unwrap_err();
            assert!(error.ends_with("expected digits and an optional suffix K, M, G or T"), "{bad}: {error}");
        }
    }

    #[test]
    fn sizes_are_shown_in_units() {
        for (bytes, shown) in [
            (0, "0 B  "),
            (1023, "1023 B  "),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (64 << 20, "64 MiB"),
            ((1 << 20) - 1, "1 MiB"),
            ((1 << 20) - 51, "1 MiB"),
            ((1 << 20) - 64, "1023.9 KiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(human(bytes), shown, "{bytes}");
        }
    }
}
