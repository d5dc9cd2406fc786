//! The model: the classifier over the compiled tables, in user space.

use crate::campaign::{Engine, Scale, image, run};
use perimeter::ruleset::Ruleset;
use perimeter::simulate::Model;
use perimeter_classifier::verdict::Decision;

impl Engine for Model {
    const NAME: &'static str = "model";

    fn new(ruleset: &Ruleset, interface_index: usize) -> Option<Self> {
        image(ruleset, interface_index).map(Model::from)
    }

    fn judge(&mut self, frame: &[u8]) -> Option<Decision> {
        Some(Model::judge(self, frame))
    }
}

#[test]
fn model_agrees_with_the_oracle() {
    run::<Model>(&Scale::from_environment(200, 1_010_000)).assert_covers();
}
