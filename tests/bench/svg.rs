//! Pictures for the manual.

use std::fmt::Write as _;

/// The few shapes that the pictures need. It has its own background, so that it is readable on
/// light and dark pages.
pub struct Svg(String);

impl Svg {
    pub fn new(width: f64, height: f64) -> Svg {
        let style = "text{font-family:sans-serif;fill:#222}.title{font-size:17px;font-weight:bold}\
                     .head{font-size:13px;font-weight:bold}.label{font-size:13px}\
                     .tick{font-size:11px;text-anchor:middle;fill:#555}.note{font-size:12px;fill:#555}\
                     .value{font-size:10px}.band{font-size:10px;fill:#fff}.inside{font-size:8px;text-anchor:end;fill:#fff}";
        Svg(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\">\n<style>{style}</style>\n\
             <rect width=\"{width}\" height=\"{height}\" rx=\"8\" fill=\"#ffffff\"/>\n"
        ))
    }

    pub fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>"
        ));
    }

    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str, width: f64) {
        self.add(format_args!(
            "<path d=\"M{x1:.1} {y1:.1}L{x2:.1} {y2:.1}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
        ));
    }

    /// Any other element.
    pub fn add(&mut self, element: std::fmt::Arguments) {
        writeln!(self.0, "{element}").expect("writing to a String");
    }

    pub fn finish(self) -> String {
        self.0 + "</svg>\n"
    }
}
