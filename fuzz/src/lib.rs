//! `docs/format.md` written a second time, by other means, for the fuzzers to compare with.

/// What an export string says.
#[derive(Debug)]
pub struct Fields<'a> {
    /// Of the descriptor.
    pub number: i32,
    /// NSPR's, 0 to 2.
    pub protection: u8,
    /// Its word.
    pub kind: &'a str,
    /// Bytes.
    pub size: u64,
    /// `st_dev`
    pub device: u64,
    /// `st_ino`
    pub inode: u64,
}

impl<'a> Fields<'a> {
    /// What the string says, if it is an export string.
    #[must_use]
    pub fn read(string: &'a str) -> Option<Self> {
        let fields: Vec<_> = string.split(':').collect();
        let [number, protection, "1", kind, size, device, inode] = fields[..] else { return None };
        let protection = match (kind, protection) {
            ("writable" | "unsealed", "1") => 1,
            ("read-only" | "frozen", "0") => 0,
            ("frozen", "2") => 2,
            _ => return None,
        };
        Some(Self {
            number: i32::try_from(decimal(number)?).ok()?,
            protection,
            kind,
            size: decimal(size)?,
            device: decimal(device)?,
            inode: decimal(inode)?,
        })
    }

    /// The type that imports it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            "read-only" => "ReadOnlyRegion",
            "frozen" => "FrozenRegion",
            _ => "Region",
        }
    }
}

fn decimal(digits: &str) -> Option<u64> {
    let plain = digits == "0" || !digits.starts_with('0');
    if digits.is_empty() || !plain || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut value = 0_u64;
    for digit in digits.bytes() {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    Some(value)
}

/// The pairs of a value of `HEIRLOOM_REGIONS` that are well-formed, and whether any is not.
#[must_use]
pub fn pairs(value: &str) -> (Vec<(String, String)>, bool) {
    let mut good: Vec<(String, String)> = Vec::new();
    let mut bad = false;
    if value.is_empty() {
        return (good, bad);
    }
    for pair in value.split(',') {
        let (encoded, string) = pair.split_at(pair.find('=').unwrap_or(pair.len()));
        let string = string.get(1..).unwrap_or_default();
        match decode(encoded) {
            Some(name) if Fields::read(string).is_some() && good.iter().all(|(other, _)| *other != name) => {
                good.push((name, string.to_owned()));
            }
            _ => bad = true,
        }
    }
    (good, bad)
}

fn stands_as_it_is(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// A name as it stands in the variable.
#[must_use]
pub fn encode(name: &str) -> String {
    let encode = |byte| if stands_as_it_is(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(encode).collect()
}

fn decode(encoded: &str) -> Option<String> {
    let mut bytes = encoded.bytes();
    let mut name = Vec::new();
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'%' => {
                let decoded = hexadecimal(bytes.next()?)? << 4 | hexadecimal(bytes.next()?)?;
                (!stands_as_it_is(decoded) && decoded != 0).then_some(decoded)?
            }
            byte => stands_as_it_is(byte).then_some(byte)?,
        });
    }
    let name = String::from_utf8(name).ok()?;
    (1..=240).contains(&name.len()).then_some(name)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}
