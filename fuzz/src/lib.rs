//! A second, independent implementation of `docs/format.md`. The fuzz targets compare the library with it.

/// The fields of an export string.
#[derive(Debug)]
pub struct Fields<'a> {
    /// The descriptor.
    pub number: i32,
    /// NSPR's protection value, 0 to 2.
    pub protection: u8,
    /// The word for the kind of region.
    pub kind: &'a str,
    /// The size in bytes.
    pub size: u64,
    /// `st_dev`
    pub device: u64,
    /// `st_ino`
    pub inode: u64,
}

impl<'a> Fields<'a> {
    /// Parses an export string. Returns `None` for any other string.
    #[must_use]
    pub fn parse(string: &'a str) -> Option<Self> {
        let fields: Vec<_> = string.split(':').collect();
        let [number, protection, "1", kind, size, device, inode] = fields[..] else { return None };
        let protection = match (kind, protection) {
            ("writable" | "unsealed" | "secret", "1") => 1,
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

    /// Returns the name of the type that imports the region.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.kind {
            "read-only" => "ReadOnlyRegion",
            "frozen" => "FrozenRegion",
            "secret" => "SecretRegion",
            _ => "Region",
        }
    }
}

fn decimal(digits: &str) -> Option<u64> {
    let canonical = digits == "0" || !digits.starts_with('0');
    if digits.is_empty() || !canonical || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut value = 0_u64;
    for digit in digits.bytes() {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
    }
    Some(value)
}

/// Parses a value of `HEIRLOOM_REGIONS`. Returns the well-formed entries, and whether any entry is malformed.
#[must_use]
pub fn parse_variable(value: &str) -> (Vec<(String, String)>, bool) {
    let mut entries: Vec<(String, String)> = Vec::new();
    let mut malformed = false;
    if value.is_empty() {
        return (entries, malformed);
    }
    for entry in value.split(',') {
        let (encoded, string) = entry.split_at(entry.find('=').unwrap_or(entry.len()));
        let string = string.get(1..).unwrap_or_default();
        match decode(encoded) {
            Some(name) if Fields::parse(string).is_some() && entries.iter().all(|(other, _)| *other != name) => {
                entries.push((name, string.to_owned()));
            }
            _ => malformed = true,
        }
    }
    (entries, malformed)
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

/// Encodes a name for the variable.
#[must_use]
pub fn encode(name: &str) -> String {
    let encode = |byte| if is_unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    name.bytes().map(encode).collect()
}

fn decode(encoded: &str) -> Option<String> {
    let mut bytes = encoded.bytes();
    let mut name = Vec::new();
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'%' => {
                let decoded = hexadecimal(bytes.next()?)? << 4 | hexadecimal(bytes.next()?)?;
                (!is_unreserved(decoded) && decoded != 0).then_some(decoded)?
            }
            byte => is_unreserved(byte).then_some(byte)?,
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
