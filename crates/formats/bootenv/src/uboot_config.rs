//! [`UbootPlace`]: where U-Boot's environment is, as `/etc/fw_env.config` says it: one line for each
//! copy, `FILE OFFSET SIZE`; what follows is about flash. (`fw_printenv` of libubootenv.)

use std::path::PathBuf;

use crate::Error;

/// Where one copy of an environment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UbootPlace {
    /// A device, or a file in its place.
    pub file: PathBuf,
    /// Where it begins there, in bytes.
    pub offset: u64,
    /// How many bytes it has.
    pub size: usize,
}

impl UbootPlace {
    /// Reads a configuration: one place, or two of the same size.
    ///
    /// # Errors
    /// When it is not to be understood, or names no environment.
    pub fn parse_config(text: &str) -> Result<(Self, Option<Self>), Error> {
        let bad = |reason| Error::Environment { what: "places of U-Boot's environment", reason };
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
        let lines = lines.filter(|line| !line.trim().is_empty());
        let places: Option<Vec<Self>> = lines.map(Self::parse_line).collect();
        let places = places.ok_or_else(|| bad("a line is not FILE OFFSET SIZE"))?;
        match <[Self; 2]>::try_from(places) {
            Ok([first, second]) if first.size == second.size => Ok((first, Some(second))),
            Ok(_) => Err(bad("its two copies have different sizes")),
            Err(places) if places.len() > 2 => Err(bad("it names more than two copies")),
            Err(places) => {
                let first = places.into_iter().next();
                Ok((first.ok_or_else(|| bad("it names none"))?, None))
            }
        }
    }

    fn parse_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let file = PathBuf::from(words.next()?);
        let offset = number(words.next()?)?;
        let size = usize::try_from(number(words.next()?)?).ok()?;
        file.is_absolute().then_some(Self { file, offset, size })
    }
}

fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::UbootPlace;

    #[test]
    fn configurations_are_read_as_the_tools_read_them() {
        let text =
            "# copies\n/dev/mmcblk0 0x3f8000 0x4000 # one\n\n/dev/mmcblk0\t4194304 16384 0x200 1\n";
        let place = |offset| UbootPlace { file: "/dev/mmcblk0".into(), offset, size: 0x4000 };
        let read = UbootPlace::parse_config(text).unwrap();
        assert_eq!(read, (place(0x3f_8000), Some(place(0x40_0000))));
        assert_eq!(UbootPlace::parse_config("/a 0 16").unwrap().1, None);
        let two_sizes = "/a 0 16\n/a 16 32";
        for bad in [
            "",
            "/dev/x",
            "/dev/x 0",
            "/dev/x 0 y",
            "env 0 16",
            two_sizes,
            "/a 0 1\n/a 0 1\n/a 0 1",
        ] {
            UbootPlace::parse_config(bad).unwrap_err();
        }
    }
}
