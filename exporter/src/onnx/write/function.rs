//! Functions of single elements. Those that are younger than the opset that is written are written as what they are made of.

use latent_runtime::onnx::proto::tensor_proto::DataType;

use super::graph_builder::Attribute;
use super::{Step, Writer};
use crate::graph::{Element, Elements, Function, Tensor};

impl Writer<'_> {
    pub(super) fn function(&mut self, step: &Step, function: &Function) -> String {
        let x = self.read(step.node.inputs[0], step.float);
        match *function {
            Function::Elu { alpha } => {
                self.single(step, "Elu", &[x], vec![("alpha", Attribute::Float(alpha))])
            }
            Function::Power { exponent } => {
                let exponent = self.scalar("exponent", exponent, step.float);
                self.single(step, "Pow", &[x, exponent], vec![])
            }
            // x (1 + erf(x / sqrt(2))) / 2
            Function::Gelu => {
                let scaled = self.with_number(step, "Div", "scaled", &x, std::f32::consts::SQRT_2);
                let erf = self.unary(step, "Erf", "erf", &scaled);
                self.gated(step, x, &erf)
            }
            // x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2
            Function::GeluTanh => {
                let cube = self.with_number(step, "Pow", "cube", &x, 3.0);
                let part = self.with_number(step, "Mul", "part", &cube, 0.044715);
                let shape = self.graph.shape(step.node.output);
                let sum = self.before(step, "Add", "sum", &[&x, &part], &shape, vec![]);
                let root = (2.0 / std::f32::consts::PI).sqrt();
                let scaled = self.with_number(step, "Mul", "scaled", &sum, root);
                let tanh = self.unary(step, "Tanh", "tanh", &scaled);
                self.gated(step, x, &tanh)
            }
            Function::Mish => {
                let softplus = self.unary(step, "Softplus", "softplus", &x);
                let tanh = self.unary(step, "Tanh", "tanh", &softplus);
                self.single(step, "Mul", &[x, tanh], vec![])
            }
            _ => self.single(step, function.name(), &[x], vec![]),
        }
    }

    /// x (1 + gate) / 2, in the order in which PyTorch's exporters write it.
    fn gated(&mut self, step: &Step, x: String, gate: &str) -> String {
        let more = self.with_number(step, "Add", "more", gate, 1.0);
        let shape = self.graph.shape(step.node.output);
        let product = self.before(step, "Mul", "gated", &[&x, &more], &shape, vec![]);
        let half = self.scalar("factor", 0.5, step.float);
        self.single(step, "Mul", &[product, half], vec![])
    }

    fn unary(&mut self, step: &Step, op: &str, part: &str, x: &str) -> String {
        let shape = self.graph.shape(step.node.output);
        self.before(step, op, part, &[x], &shape, vec![])
    }

    fn with_number(&mut self, step: &Step, op: &str, part: &str, x: &str, number: f32) -> String {
        let shape = self.graph.shape(step.node.output);
        let number = self.scalar("number", number, step.float);
        self.before(step, op, part, &[x, &number], &shape, vec![])
    }

    /// The values of OneHot are 0 and 1; its depth has the type of its indices.
    pub(super) fn one_hot(&mut self, step: &Step, depth: usize) -> String {
        let id = step.node.inputs[0];
        let indices = self.read(id, DataType::Float);
        let element = self.graph.element(id);
        let elements = match element {
            Element::F32 => Elements::F32(vec![depth as f32]),
            Element::I32 => Elements::I32(vec![depth as i32]),
            _ => Elements::I64(vec![depth as i64]),
        };
        let depth = self.shared(&format!("depth_{depth}_{element}"), |builder, name| {
            if let Some(tensor) = Tensor::new(vec![], elements) {
                builder.tensor(name, &tensor);
            }
        });
        let suffix = if step.float == DataType::Float16 { "_half" } else { "" };
        let values = self.shared(&format!("off_on{suffix}"), |builder, name| match step.float {
            DataType::Float16 => builder.halves(name, &[2], &[0.0, 1.0]),
            _ => drop(builder.floats(name, &[2], &[0.0, 1.0])),
        });
        self.single(step, "OneHot", &[indices, depth, values], vec![("axis", Attribute::Int(-1))])
    }
}
