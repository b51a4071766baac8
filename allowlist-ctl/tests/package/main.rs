//! What a package brings along beside the programs.

mod completions;
mod pages;
mod unit;
#[path = "../../examples/pages/write.rs"]
mod write;
