//! Columns of text.

use std::{
    fmt::Display,
    io::{self, Write},
};

use super::console::{Paint, Style, clean};

/// Spaces between columns.
const GAP: usize = 2;
/// Columns of the terminal that tables are made for.
pub(super) const WIDTH: usize = 80;
/// A last column is never made narrower than this, however wide those before it are.
pub(super) const NARROWEST: usize = 24;

/// A text in a table, on one or more lines.
#[derive(Clone, Debug)]
pub(super) struct Cell {
    lines: Vec<String>,
    style: Style,
    is_number: bool,
}

impl Cell {
    /// A text, made harmless.
    pub(super) fn text(text: impl AsRef<str>) -> Self {
        let lines = vec![clean(text.as_ref()).into_owned()];
        Self { lines, style: Style::Plain, is_number: false }
    }

    /// Several lines of text.
    pub(super) fn lines(lines: impl IntoIterator<Item = String>) -> Self {
        let lines = lines.into_iter().map(|line| clean(&line).into_owned()).collect();
        Self { lines, style: Style::Plain, is_number: false }
    }

    /// A number, at the right edge of its column.
    pub(super) fn number(number: impl Display) -> Self {
        Self { is_number: true, ..Self::text(number.to_string()) }
    }

    /// The same in another style.
    pub(super) fn style(self, style: Style) -> Self {
        Self { style, ..self }
    }

    fn width(&self) -> usize {
        self.lines.iter().map(|line| line.chars().count()).max().unwrap_or(0)
    }
}

/// Rows under a heading.
#[derive(Debug)]
pub(super) struct Table {
    heading: Vec<Cell>,
    rows: Vec<Vec<Cell>>,
    /// Lines under rows, by the row's index.
    notes: Vec<(usize, String)>,
}

impl Table {
    /// A table with these columns; a title may have several lines.
    pub(super) fn new<'a>(columns: impl IntoIterator<Item = &'a str>) -> Self {
        let title = |title: &str| Cell::lines(title.split('\n').map(str::to_owned));
        let heading = columns.into_iter().map(|text| title(text).style(Style::Heading));
        Self { heading: heading.collect(), rows: Vec::new(), notes: Vec::new() }
    }

    /// Whether it fits a terminal without a line being broken.
    pub(super) fn fits(&self) -> bool {
        let mut columns = Columns::of(&self.heading);
        self.rows.iter().for_each(|row| columns.fit(row));
        let gaps = columns.widths.len().saturating_sub(1) * GAP;
        columns.widths.iter().sum::<usize>() + gaps <= WIDTH
    }

    /// Adds a row, a cell a column.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Adds a line under the last row, from the second column on; it makes no column wider.
    pub(super) fn note(&mut self, text: &str) {
        if let Some(row) = self.rows.len().checked_sub(1) {
            self.notes.push((row, clean(text).into_owned()));
        }
    }

    /// Writes the table.
    ///
    /// # Errors
    /// What `out` answers.
    pub(super) fn write(&self, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
        let mut columns = Columns::of(&self.heading);
        self.rows.iter().for_each(|row| columns.fit(row));
        let indent = columns.widths.first().map_or(0, |width| width + GAP);
        columns.write(&self.heading, out, paint)?;
        let mut notes = self.notes.iter().peekable();
        for (index, row) in self.rows.iter().enumerate() {
            columns.write(row, out, paint)?;
            while let Some((_, note)) = notes.next_if(|(row, _)| *row == index) {
                writeln!(out, "{:indent$}{note}", "")?;
            }
        }
        Ok(())
    }

    /// Writes the table with its last column broken into lines where it would not fit a terminal.
    ///
    /// # Errors
    /// What `out` answers.
    pub(super) fn write_wrapped(mut self, out: &mut dyn Write, paint: Paint) -> io::Result<()> {
        let mut columns = Columns::of(&self.heading);
        self.rows.iter().for_each(|row| columns.fit(row));
        let used = columns.widths.iter().rev().skip(1).map(|width| width + GAP).sum();
        let room = WIDTH.saturating_sub(used).max(NARROWEST);
        for cell in self.rows.iter_mut().filter_map(|row| row.last_mut()) {
            let lines = cell.lines.iter().flat_map(|line| wrap(line.split(' '), " ", room));
            cell.lines = lines.collect();
        }
        self.write(out, paint)
    }
}

/// How wide columns are, for rows that are too many to be held at once.
#[derive(Debug, Default)]
pub(super) struct Columns {
    widths: Vec<usize>,
    /// Whether a column holds numbers.
    numbers: Vec<bool>,
}

impl Columns {
    /// Columns that this heading fits into.
    pub(super) fn of(heading: &[Cell]) -> Self {
        let widths = heading.iter().map(Cell::width).collect();
        Self { widths, numbers: vec![false; heading.len()] }
    }

    /// Makes them wide enough for a row.
    pub(super) fn fit(&mut self, row: &[Cell]) {
        for ((cell, width), number) in row.iter().zip(&mut self.widths).zip(&mut self.numbers) {
            *width = cell.width().max(*width);
            *number |= cell.is_number;
        }
    }

    /// Writes a row.
    ///
    /// # Errors
    /// What `out` answers.
    pub(super) fn write(&self, row: &[Cell], out: &mut dyn Write, paint: Paint) -> io::Result<()> {
        let height = row.iter().map(|cell| cell.lines.len()).max().unwrap_or(0);
        for index in 0..height {
            // Spaces wait for a text behind them, so that no line ends in spaces.
            let mut spaces = 0;
            for ((cell, width), number) in row.iter().zip(&self.widths).zip(&self.numbers) {
                let text = cell.lines.get(index).map_or("", String::as_str);
                let space = width.saturating_sub(text.chars().count());
                let (before, behind) = if *number { (space, 0) } else { (0, space) };
                spaces += before;
                if !text.is_empty() {
                    write!(out, "{:spaces$}{}", "", paint.paint(cell.style, text))?;
                    spaces = 0;
                }
                spaces += behind + GAP;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

/// Puts words on lines of at most `width`; a longer word has a line of its own.
pub(super) fn wrap<'a>(
    words: impl IntoIterator<Item = &'a str>,
    separator: &str,
    width: usize,
) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line)
                if (line.chars().count() + separator.len() + word.chars().count()) <= width =>
            {
                line.push_str(separator);
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> String {
        let mut out = Vec::new();
        write(&mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn columns_are_aligned_and_no_line_ends_in_spaces() {
        let mut table = Table::new(["A", "NUMBER", "LAST"]);
        table.row([Cell::lines(["one".into(), "three".into()]), Cell::number(7), Cell::text("x")]);
        table.row([Cell::text("e\x1b"), Cell::number(12_345_678), Cell::text("")]);
        let expected = "\
A          NUMBER  LAST
one             7  x
three
e\\u{1b}  12345678
";
        assert_eq!(written(|out| table.write(out, Paint::OFF)), expected);
    }

    #[test]
    fn a_note_stands_under_its_row_and_widens_nothing() {
        let mut table = Table::new(["A", "B\nC"]);
        table.note("without a row");
        for name in ["one", "two"] {
            table.row([Cell::text(name), Cell::number(7)]);
            table.note("longer than its column\x1b");
        }
        table.note("another");
        let expected = "\
A    B
     C
one  7
     longer than its column\\u{1b}
two  7
     longer than its column\\u{1b}
     another
";
        assert_eq!(written(|out| table.write(out, Paint::OFF)), expected);
    }

    #[test]
    fn a_long_last_column_goes_on_below() {
        let mut table = Table::new(["NAME", "REASON"]);
        let reason =
            "the driver takes no program with multiple buffers at this MTU, and so on and on";
        table.row([Cell::text("eth0"), Cell::text(reason)]);
        let expected = "\
NAME  REASON
eth0  the driver takes no program with multiple buffers at this MTU, and so on
      and on
";
        assert_eq!(written(|out| table.write_wrapped(out, Paint::OFF)), expected);

        let mut narrow = Table::new(["NAME", "REASON"]);
        narrow.row([
            Cell::text("n".repeat(200)),
            Cell::text("some words that need more than one line"),
        ]);
        assert_eq!(written(|out| narrow.write_wrapped(out, Paint::OFF)).lines().count(), 3);
    }
}
