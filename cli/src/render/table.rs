//! Columns that line up.

/// Where a column's text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Align {
    /// For words.
    Left,
    /// For numbers.
    Right,
}

/// Rows under a heading.
#[derive(Debug)]
pub(crate) struct TextTable<const N: usize> {
    aligns: [Align; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> TextTable<N> {
    /// Begins with the headings.
    pub(crate) fn new(columns: [(&str, Align); N]) -> Self {
        let aligns = columns.map(|(_, align)| align);
        Self { aligns, rows: vec![columns.map(|(heading, _)| heading.to_owned())] }
    }

    /// Adds a row. A cell is one line: line feeds and tabs become spaces.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| cell.replace(['\n', '\t'], " ")));
    }

    /// Returns the lines.
    pub(crate) fn render(&self) -> String {
        let widths: [usize; N] = std::array::from_fn(|at| {
            self.rows.iter().map(|row| width(&row[at])).max().unwrap_or(0)
        });
        self.rows.iter().map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, row: &[String; N], widths: &[usize; N]) -> String {
        let cells = row.iter().zip(widths).zip(&self.aligns).map(|((cell, width_max), align)| {
            let padding = " ".repeat(width_max - width(cell));
            match align {
                Align::Left => format!("{cell}{padding}"),
                Align::Right => format!("{padding}{cell}"),
            }
        });
        // The last column's padding would wrap in a narrow terminal.
        let line = cells.collect::<Vec<_>>().join("  ");
        format!("{}\n", line.trim_end())
    }
}

fn width(cell: &str) -> usize {
    // Characters, not bytes: a case's name may have umlauts.
    cell.chars().count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_have_no_tail() {
        let mut table =
            TextTable::new([("name", Align::Left), ("ms", Align::Right), ("x", Align::Left)]);
        table.row(["é".to_owned(), "10".to_owned(), String::new()]);
        table.row(["a\nb".to_owned(), "9".to_owned(), "y".to_owned()]);
        assert_eq!(table.render(), "name  ms  x\né     10\na b    9  y\n");
    }
}
