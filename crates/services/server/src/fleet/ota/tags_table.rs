//! Tables of devices and their tags, as operators export them from a spreadsheet.
//!
//! ```text
//! DeviceID;Market;Sales region LF
//! vehicle-1;Italy;"north; ""old""" LF
//! ```
//! Values separated by semicolons (RFC 4180 with another separator), names of tags in the first line.
//! An empty value means that the device does not have the tag.

use std::collections::BTreeMap;

use super::expression::Tags;

/// The most devices and tags of one table.
const MAX_LINES: usize = 100_000;
const MAX_COLUMNS: usize = 65;
/// What the column of the devices' ids is called.
const ID: &str = "DeviceID";

/// Reads a table: device id and tags.
///
/// # Errors
/// What is wrong with it, in words.
pub fn parse(bytes: &[u8]) -> Result<BTreeMap<String, Tags>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    // Spreadsheets like to begin with a byte order mark.
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let head = line(&mut rest)?;
    let ids = head.iter().position(|name| name == ID);
    let ids = ids.ok_or_else(|| format!("no column is called {ID}"))?;
    let mut devices = BTreeMap::new();
    while !rest.is_empty() {
        if devices.len() == MAX_LINES {
            return Err(format!("it has more than {MAX_LINES} devices"));
        }
        let values = line(&mut rest)?;
        if let [only] = values.as_slice()
            && only.is_empty()
        {
            continue;
        }
        if values.len() != head.len() {
            let number = devices.len() + 1;
            return Err(format!("device {number} has not as many values as there are columns"));
        }
        let mut id = String::new();
        let mut tags = Tags::new();
        for (index, (name, value)) in head.iter().zip(values).enumerate() {
            if index == ids {
                id = value;
            } else if !value.is_empty() && tags.insert(name.clone(), value).is_some() {
                return Err(format!("two columns are called `{}`", name.escape_default()));
            }
        }
        if devices.insert(id.clone(), tags).is_some() {
            return Err(format!("device `{}` is in it twice", id.escape_default()));
        }
    }
    Ok(devices)
}

/// The values up to the end of a line.
fn line(rest: &mut &str) -> Result<Vec<String>, String> {
    let mut values = Vec::new();
    loop {
        if values.len() == MAX_COLUMNS {
            return Err(format!("it has more than {MAX_COLUMNS} columns"));
        }
        values.push(value(rest)?);
        if let Some(tail) = rest.strip_prefix(';') {
            *rest = tail;
            continue;
        }
        let tail = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n'));
        match tail {
            Some(tail) => *rest = tail,
            None if rest.is_empty() => {}
            None => return Err("something stands behind a quoted value".to_owned()),
        }
        return Ok(values);
    }
}

fn value(rest: &mut &str) -> Result<String, String> {
    let Some(mut quoted) = rest.strip_prefix('"') else {
        let end = rest.find([';', '\n']).unwrap_or(rest.len());
        let (value, tail) = rest.split_at(end);
        // The line's end is CR and LF, or LF alone.
        let (value, tail) = match value.strip_suffix('\r') {
            Some(shorter) if tail.starts_with('\n') => (shorter, tail),
            _ => (value, tail),
        };
        *rest = tail;
        return Ok(value.to_owned());
    };
    let mut value = String::new();
    loop {
        let (part, tail) = quoted.split_once('"').ok_or("a quoted value has no end")?;
        value.push_str(part);
        let Some(more) = tail.strip_prefix('"') else {
            *rest = tail;
            return Ok(value);
        };
        value.push('"');
        quoted = more;
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[track_caller]
    fn check(text: &str, expect: &[(&str, &[(&str, &str)])]) {
        let found = parse(text.as_bytes()).unwrap();
        let expect = expect.iter().map(|(id, tags)| {
            let tags = tags.iter().map(|(tag, value)| ((*tag).to_owned(), (*value).to_owned()));
            ((*id).to_owned(), tags.collect())
        });
        assert_eq!(found, expect.collect());
    }

    #[test]
    fn tables_of_tags_are_read() {
        let text = "DeviceID;Market;Region\nv1;Italy;north\nv2;;\"a; \"\"b\"\"\nc\"\n";
        let second: &[_] = &[("Region", "a; \"b\"\nc")];
        check(text, &[("v1", &[("Market", "Italy"), ("Region", "north")]), ("v2", second)]);
        check(
            "\u{feff}a;DeviceID\r\n1;v1\r\n\r\n2;v2",
            &[("v1", &[("a", "1")]), ("v2", &[("a", "2")])],
        );
        check("DeviceID\n", &[]);
    }

    #[test]
    fn what_could_mean_two_things_is_refused() {
        for text in [
            "",
            "Device;a\nv1;1\n",
            "DeviceID;a\nv1\n",
            "DeviceID;a\nv1;1;2\n",
            "DeviceID;a;a\nv1;1;2\n",
            "DeviceID;a\nv1;1\nv1;2\n",
            "DeviceID;a\nv1;\"1\n",
            "DeviceID;a\nv1;\"1\"2\n",
        ] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
        assert!(parse(b"DeviceID;a\nv1;\xff\n").is_err());
    }
}
