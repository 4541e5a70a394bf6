//! Rows for people: columns as wide as their longest cell, no lines, nothing cut.

/// A table under construction. The last column may hold text of any length.
#[derive(Debug, Clone)]
pub struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with these column names.
    pub fn new<const N: usize>(header: [&str; N]) -> Self {
        Self { header: header.iter().map(ToString::to_string).collect(), rows: Vec::new() }
    }

    /// Adds one row; missing cells stay empty, an empty cell prints as `-`.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| if cell.is_empty() { "-".into() } else { cell }).into());
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The lines: the header in capitals, then the rows.
    pub fn lines(&self) -> Vec<String> {
        let header: Vec<String> = self.header.iter().map(|name| name.to_uppercase()).collect();
        let all = || std::iter::once(&header).chain(&self.rows);
        let widths: Vec<usize> = (0..header.len())
            .map(|column| {
                let cells = all().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        all().map(|row| line(row, &widths)).collect()
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let cells: Vec<String> =
        row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    cells.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_line_up_and_trailing_blanks_are_gone() {
        let mut table = Table::new(["device", "state"]);
        table.row(["dev-1".into(), "installed".into()]);
        table.row(["a-longer-name".into(), String::new()]);
        assert_eq!(
            table.lines(),
            ["DEVICE         STATE", "dev-1          installed", "a-longer-name  -"]
        );
    }
}
