//! The policy language against its corpora: `valid/` and `invalid/` beside this file, the schema, the language
//! reference and the policies of `rules/`.

mod corpus;
mod diagnostics;
mod reference;
mod schema;
mod size;
