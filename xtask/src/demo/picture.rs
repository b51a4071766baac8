//! The demo as a picture of a terminal: an SVG, whose text the reader's fonts make.

use super::say::{Kind, Line};

/// Sizes in pixels: of a character, of a line, and of what is around them all.
const COLUMN: f64 = 7.8;
const ROW: usize = 19;
const MARGIN: usize = 18;
/// The bar above, with the three buttons.
const BAR: usize = 34;

/// Draws the lines.
pub(super) fn draw(lines: &[Line]) -> String {
    let columns = lines.iter().map(|line| line.text.chars().count()).max().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "few columns")]
    let width = (columns as f64).mul_add(COLUMN, 2.0 * MARGIN as f64).ceil();
    let height = BAR + lines.len() * ROW + MARGIN;
    let head = format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img">
<title>A terminal: redis is protected, alice is added and served, bob is shut out and his open connection is cut</title>
<style>
text {{ font: 13px ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; fill: #c9d1d9; white-space: pre }}
.heading {{ fill: #e3b341; font-weight: bold }}
.prompt {{ fill: #56d4dd }}
.command {{ fill: #ffffff; font-weight: bold }}
.note {{ fill: #8b949e; font-style: italic }}
</style>
<rect width="{width}" height="{height}" rx="8" fill="#0d1117"/>
<circle cx="20" cy="17" r="5.5" fill="#ff5f56"/><circle cx="38" cy="17" r="5.5" fill="#ffbd2e"/><circle cx="56" cy="17" r="5.5" fill="#27c93f"/>
"##
    );
    let row = |(index, line): (usize, &Line)| {
        let y = BAR + index * ROW + 13;
        let text = match line.kind {
            Kind::Heading => span("heading", &line.text),
            Kind::Note => span("note", &line.text),
            Kind::Output => escaped(&line.text),
            Kind::Command { prompt } => {
                let (prompt, command) = line.text.split_at(prompt);
                span("prompt", prompt) + &span("command", command)
            }
        };
        format!("<text x=\"{MARGIN}\" y=\"{y}\" xml:space=\"preserve\">{text}</text>\n")
    };
    let rows = lines.iter().enumerate().filter(|(_, line)| !line.text.is_empty()).map(row);
    head + &rows.collect::<String>() + "</svg>\n"
}

fn span(class: &str, text: &str) -> String {
    format!(r#"<tspan class="{class}">{}</tspan>"#, escaped(text))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_in_the_picture_at_its_place() {
        let line = |kind, text: &str| Line { kind, text: text.to_owned() };
        let svg = draw(&[
            line(Kind::Heading, "First"),
            line(Kind::Command { prompt: 4 }, "bob$ a <b> & c"),
            line(Kind::Output, ""),
            line(Kind::Note, "(no answer)"),
        ]);
        for part in [
            r#"y="47" xml:space="preserve"><tspan class="heading">First</tspan>"#,
            r#"y="66" xml:space="preserve"><tspan class="prompt">bob$</tspan><tspan class="command"> a &lt;b&gt; &amp; c</tspan>"#,
            r#"y="104" xml:space="preserve"><tspan class="note">(no answer)</tspan>"#,
            r#"height="128""#,
        ] {
            assert!(svg.contains(part), "{part} in {svg}");
        }
        assert_eq!(svg.matches("<text").count(), 3);
    }
}
