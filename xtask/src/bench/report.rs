//! The figures: a table for people, JSON for programs.

use std::{fmt, fs};

use serde_json::{Value, json};

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Thousandths of a second.
    Milliseconds,
    /// Millions of bytes.
    Megabytes,
    /// Of one packet, above an empty program.
    Nanoseconds,
    /// Millions of packets in each second.
    MillionsASecond,
    /// How many times something else.
    Times,
    /// Hundredths of the time of one CPU.
    Percent,
}

impl Unit {
    const fn name(self) -> &'static str {
        match self {
            Self::Milliseconds => "ms",
            Self::Megabytes => "MB",
            Self::Nanoseconds => "ns",
            Self::MillionsASecond => "M/s",
            Self::Times => "x",
            Self::Percent => "%",
        }
    }

    /// Digits after the point that still mean something.
    const fn digits(self) -> usize {
        match self {
            Self::Milliseconds | Self::Times | Self::Percent | Self::MillionsASecond => 2,
            Self::Megabytes | Self::Nanoseconds => 0,
        }
    }
}

/// One measured case.
#[derive(Debug)]
struct Row {
    what: String,
    unit: Unit,
    samples: Vec<f64>,
    target: Option<Target>,
}

/// What a median is meant to be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Target {
    Below(f64),
    AtLeast(f64),
}

/// The middle of some samples.
pub(super) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().div_ceil(2).saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

impl Row {
    /// The smallest sample that at least this part of all do not exceed.
    fn quantile(&self, numerator: usize, denominator: usize) -> f64 {
        let rank = (self.samples.len() * numerator).div_ceil(denominator);
        self.samples.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }

    fn median(&self) -> f64 {
        self.quantile(1, 2)
    }

    fn cells(&self) -> [String; 8] {
        let digits = self.unit.digits();
        let number = |value: f64| format!("{value:.digits$}");
        let (target, met) = match self.target {
            Some(Target::Below(most)) => (format!("< {}", number(most)), self.median() < most),
            Some(Target::AtLeast(least)) => {
                (format!(">= {}", number(least)), self.median() >= least)
            }
            None => (String::new(), true),
        };
        let met = match (self.target, met) {
            (None, _) => "",
            (_, true) => "met",
            (_, false) => "MISSED",
        };
        [
            self.what.clone(),
            number(self.median()),
            self.unit.name().to_owned(),
            number(self.quantile(0, 1)),
            number(self.quantile(95, 100)),
            self.samples.len().to_string(),
            target,
            met.to_owned(),
        ]
    }
}

/// All measured cases.
#[derive(Debug, Default)]
pub(super) struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds a case with its samples, and what their median is meant to stay under.
    pub(super) fn add(
        &mut self,
        what: impl Into<String>,
        unit: Unit,
        samples: Vec<f64>,
        target: Option<f64>,
    ) {
        self.push(what, unit, samples, target.map(Target::Below));
    }

    /// The same where more is better.
    pub(super) fn add_at_least(
        &mut self,
        what: impl Into<String>,
        unit: Unit,
        samples: Vec<f64>,
        target: Option<f64>,
    ) {
        self.push(what, unit, samples, target.map(Target::AtLeast));
    }

    fn push(
        &mut self,
        what: impl Into<String>,
        unit: Unit,
        mut samples: Vec<f64>,
        target: Option<Target>,
    ) {
        samples.sort_by(f64::total_cmp);
        self.rows.push(Row { what: what.into(), unit, samples, target });
    }

    /// The whole report as a document.
    pub(super) fn json(&self) -> Value {
        let figures: Vec<_> = self.rows.iter().map(figure).collect();
        json!({ "kernel": kernel(), "processor": processor(), "figures": figures })
    }
}

fn figure(row: &Row) -> Value {
    let (below, at_least) = match row.target {
        Some(Target::Below(most)) => (Some(most), None),
        Some(Target::AtLeast(least)) => (None, Some(least)),
        None => (None, None),
    };
    json!({
        "name": row.what,
        "unit": row.unit.name(),
        "median": row.median(),
        "p95": row.quantile(95, 100),
        "min": row.quantile(0, 1),
        "max": row.quantile(1, 1),
        "runs": row.samples.len(),
        "target_below": below,
        "target_at_least": at_least,
    })
}

fn kernel() -> String {
    fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

fn processor() -> String {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |name| {
        let line = cpus.lines().find(move |line| line.starts_with(name));
        line.and_then(|line| Some(line.split_once(": ")?.1))
    };
    let count = cpus.lines().filter(|line| line.starts_with("processor")).count();
    format!("{count} x {}", value("model name").unwrap_or("an unnamed processor"))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head =
            ["measured", "median", "", "min", "p95", "runs", "target", ""].map(str::to_owned);
        let lines: Vec<_> = [head].into_iter().chain(self.rows.iter().map(Row::cells)).collect();
        writeln!(f, "Linux {}, {}", kernel(), processor())?;
        for line in &lines {
            let cells = line.iter().enumerate().map(|(column, cell)| {
                let width = lines.iter().map(|line| line[column].len()).max().unwrap_or_default();
                match column {
                    // What and in which unit are words, the others numbers.
                    0 | 2 | 7 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                }
            });
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_middle_of_its_samples_and_beside_its_target() {
        let mut report = Report::default();
        report.add("quick", Unit::Milliseconds, vec![3.0, 1.0, 2.0], Some(20.0));
        report.add("large", Unit::Megabytes, vec![500.0], Some(400.0));
        report.add_at_least("many", Unit::Times, vec![5.0, 4.0, 3.0], Some(4.0));
        report.add_at_least("few", Unit::Times, vec![3.0], Some(4.0));
        let text = report.to_string();
        let lines: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "measured  median       min   p95  runs   target",
                "quick       2.00  ms  1.00  3.00     3  < 20.00  met",
                "large        500  MB   500   500     1    < 400  MISSED",
                "many        4.00  x   3.00  5.00     3  >= 4.00  met",
                "few         3.00  x   3.00  3.00     1  >= 4.00  MISSED",
            ]
        );
        let quick = &report.json()["figures"][0];
        let figures = ["min", "median", "p95", "max"].map(|name| quick[name].as_f64());
        assert_eq!(figures, [1.0, 2.0, 3.0, 3.0].map(Some));
    }
}
