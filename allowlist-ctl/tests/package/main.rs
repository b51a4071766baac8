//! What a package brings along beside the programs, and what the guide has of the same making.

mod architecture;
mod commands;
mod completions;
#[path = "../../examples/pages/guide.rs"]
mod guide;
mod links;
mod pages;
mod unit;
#[path = "../../examples/pages/write.rs"]
mod write;
