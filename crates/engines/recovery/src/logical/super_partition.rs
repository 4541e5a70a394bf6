//! [`SuperPartition`]: the table of logical partitions on its device, both copies of it.

use sha2::{Digest as _, Sha256};
use updraft_error::Kind;
use updraft_payload::logical_partitions::{Geometry, LogicalTable, TableChange};

use super::change::change;
use crate::{BlockDevice, Error, Result};

/// A device with one copy of its system has one slot.
const SLOT: u32 = 0;

/// The partition that logical ones lie on.
pub struct SuperPartition<'a> {
    name: &'a str,
    device: &'a dyn BlockDevice,
    geometry: Geometry,
}

impl std::fmt::Debug for SuperPartition<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SuperPartition").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a> SuperPartition<'a> {
    /// Reads where on a device its tables are. The name is for messages.
    ///
    /// # Errors
    /// [`Error::Logical`]: it has none that is whole.
    pub fn read(name: &'a str, device: &'a dyn BlockDevice) -> Result<Self> {
        let mut problem = None;
        for offset in Geometry::OFFSETS {
            let mut bytes = vec![0; usize::try_from(Geometry::ROOM).unwrap_or_default()];
            device.read_exact_at(&mut bytes, offset).map_err(Error::file("read", name))?;
            match Geometry::parse(&bytes) {
                Ok(geometry) => return Ok(Self { name, device, geometry }),
                Err(error) => problem.get_or_insert(error),
            };
        }
        Err(Error::logical(name, Kind::Invalid, first(problem)))
    }

    /// The table, from whichever copy is whole.
    ///
    /// # Errors
    /// [`Error::Logical`]: neither is, or it is for another device.
    pub fn table(&self) -> Result<LogicalTable> {
        Ok(self.current()?.1)
    }

    /// The table that these changes make of the present one, encoded. Writes nothing.
    ///
    /// # Errors
    /// [`Error::Logical`]: one of them cannot be made.
    pub fn plan(&self, changes: &[(usize, TableChange)]) -> Result<(LogicalTable, Vec<u8>)> {
        let mut table = self.table()?;
        for (line, one) in changes {
            change(&mut table, self.geometry.block_size, one).map_err(|(kind, problem)| {
                Error::logical(self.name, kind, format!("line {line} of its changes: {problem}"))
            })?;
        }
        super::change::check_groups(&table)
            .map_err(|problem| Error::logical(self.name, Kind::Exhausted, problem))?;
        let bytes = table.encode(&self.geometry);
        let bytes =
            bytes.map_err(|error| Error::logical(self.name, Kind::Exhausted, error.to_string()))?;
        Ok((table, bytes))
    }

    /// What names the present table: the SHA-256 of its bytes.
    ///
    /// # Errors
    /// As [`table`](Self::table).
    pub fn id(&self) -> Result<String> {
        Ok(Self::id_of(&self.current()?.0))
    }

    /// What would name a table of these bytes.
    #[must_use]
    pub fn id_of(bytes: &[u8]) -> String {
        hex::encode(Sha256::digest(bytes))
    }

    /// Sees to it that both copies are the present table.
    ///
    /// # Errors
    /// When neither is whole, or the device cannot be written.
    pub fn settle(&self) -> Result<()> {
        let [first, second] = self.copies()?;
        let [to_first, to_second] = self.geometry.table_offsets(SLOT);
        match (first, second) {
            (Ok(own), Ok(other)) if own == other => Ok(()),
            (Ok(own), _) => self.write(&own, to_second),
            (Err(_), Ok(other)) => self.write(&other, to_first),
            (Err(problem), Err(_)) => Err(self.unreadable(&problem)),
        }
    }

    /// Makes these bytes, of [`plan`](Self::plan), the table. At any moment one copy of it, or of the
    /// one before, is whole.
    ///
    /// # Errors
    /// When neither copy is whole, or the device cannot be written.
    pub fn replace(&self, bytes: &[u8]) -> Result<()> {
        self.settle()?;
        let [first, second] = self.geometry.table_offsets(SLOT);
        // Commit point: from here on whoever reads the table finds the new one.
        self.write(bytes, first)?;
        self.write(bytes, second)
    }

    fn current(&self) -> Result<(Vec<u8>, LogicalTable)> {
        let [first, second] = self.copies()?;
        let bytes = match (first, second) {
            (Ok(bytes), _) | (Err(_), Ok(bytes)) => bytes,
            (Err(problem), Err(_)) => return Err(self.unreadable(&problem)),
        };
        let table = LogicalTable::parse(&self.geometry, &bytes);
        let table = table.map_err(|problem| self.unreadable(&problem))?;
        let size = self.device.size().map_err(Error::file("measure", self.name))?;
        if table.devices.first().is_none_or(|own| own.size > size) {
            let problem = "its table is for a larger device".to_owned();
            return Err(Error::logical(self.name, Kind::Conflict, problem));
        }
        Ok((bytes, table))
    }

    /// Both copies, each when it is whole and can be.
    fn copies(&self) -> Result<[Result<Vec<u8>, updraft_payload::Error>; 2]> {
        let [first, second] = self.geometry.table_offsets(SLOT);
        Ok([self.copy(first)?, self.copy(second)?])
    }

    fn copy(&self, offset: u64) -> Result<Result<Vec<u8>, updraft_payload::Error>> {
        let mut bytes = vec![0; usize::try_from(self.geometry.max_size).unwrap_or_default()];
        self.device.read_exact_at(&mut bytes, offset).map_err(Error::file("read", self.name))?;
        let table = LogicalTable::parse(&self.geometry, &bytes);
        Ok(table.and_then(|_| {
            bytes.truncate(LogicalTable::length(&self.geometry, &bytes)?);
            Ok(bytes)
        }))
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let written = self.device.write_all_at(bytes, offset).and_then(|()| self.device.sync());
        written.map_err(Error::file("write the table of logical partitions to", self.name))
    }

    fn unreadable(&self, problem: &updraft_payload::Error) -> Error {
        Error::logical(self.name, Kind::Invalid, problem.to_string())
    }
}

fn first(problem: Option<updraft_payload::Error>) -> String {
    problem.map(|problem| problem.to_string()).unwrap_or_default()
}
