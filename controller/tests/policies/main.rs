//! The policy language against its corpora: `valid/`, `invalid/` and `lint/` beside this file, the schema, the language
//! reference and the policies of `rules/`.

mod corpus;
mod diagnostics;
mod meaning;
mod mutate;
mod reference;
mod rendered;
mod schema;
mod size;
