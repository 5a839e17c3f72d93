//! The order in which resources are worked out: each after those that it names.

use std::collections::{BTreeSet, HashMap};

use super::document::Resource;
use super::functions::call;
use super::scope::{MOST_COMPARED, Scope};
use super::sub::{SubPart, parts_of_sub};
use super::value::{Place, Value};
use crate::config::diagnostic::{quoted, suggestion};

/// Which resources each names, by their numbers in the file.
pub(super) struct Order<'a> {
    resources: &'a [Resource],
    numbers: HashMap<&'a str, usize>,
}

impl<'a> Order<'a> {
    pub(super) fn new(resources: &'a [Resource]) -> Self {
        let named = |(n, resource): (usize, &'a Resource)| (&*resource.logical_id, n);
        Self {
            resources,
            numbers: resources.iter().enumerate().map(named).collect(),
        }
    }

    /// All resources in order; those that stand in a circle come last, and that is said.
    pub(super) fn find(&self, scope: &Scope<'_>) -> (Vec<usize>, BTreeSet<usize>) {
        let needs: Vec<BTreeSet<usize>> = (0..self.resources.len())
            .map(|n| self.needs(n, scope))
            .collect();
        let mut open: Vec<usize> = needs.iter().map(BTreeSet::len).collect();
        let mut needed_by = vec![Vec::new(); needs.len()];
        for (n, needs) in needs.iter().enumerate() {
            for need in needs {
                needed_by[*need].push(n);
            }
        }
        // Of those that may come next the first in the file comes next.
        let mut ready: BTreeSet<usize> = (0..needs.len()).filter(|n| open[*n] == 0).collect();
        let mut order = Vec::new();
        while let Some(next) = ready.pop_first() {
            order.push(next);
            for user in &needed_by[next] {
                open[*user] -= 1;
                if open[*user] == 0 {
                    ready.insert(*user);
                }
            }
        }
        let left: BTreeSet<usize> = (0..needs.len()).filter(|n| open[*n] > 0).collect();
        self.report_circles(&left, &needs, scope);
        (order, left)
    }

    /// Names each circle once.
    fn report_circles(&self, left: &BTreeSet<usize>, needs: &[BTreeSet<usize>], scope: &Scope<'_>) {
        let mut seen = BTreeSet::new();
        for start in left {
            // Each that is left needs another that is left, so this way ends where it has been.
            let mut way = Vec::new();
            let mut on_way = HashMap::new();
            let mut at = *start;
            while seen.insert(at) {
                on_way.insert(at, way.len());
                way.push(at);
                match needs[at].iter().find(|need| left.contains(need)) {
                    Some(next) => at = *next,
                    None => break,
                }
            }
            let Some(begin) = on_way.get(&at) else {
                continue;
            };
            let circle = &way[*begin..];
            let first = &self.resources[*circle.iter().min().unwrap_or(&at)];
            let shown = circle.iter().take(20).chain([&at]);
            let names: Vec<&str> = shown.map(|n| &*self.resources[*n].logical_id).collect();
            scope
                .report
                .about(format!("Resources.{}", first.logical_id));
            let message = format!(
                "resources need each other in a circle: {}",
                names.join(" → ")
            );
            let hint =
                "one of them must do without the next, by Ref, Fn::GetAtt, Fn::Sub or DependsOn";
            scope.report.mistake_with_hint(&first.place, message, hint);
        }
    }

    fn needs(&self, n: usize, scope: &Scope<'_>) -> BTreeSet<usize> {
        let resource = &self.resources[n];
        scope
            .report
            .about(format!("Resources.{}", resource.logical_id));
        let mut needs = BTreeSet::new();
        for (name, place) in &resource.depends_on {
            match self.numbers.get(&**name) {
                Some(number) => {
                    needs.insert(*number);
                }
                None => self.unknown_dependency(name, place, scope),
            }
        }
        if !resource.is_unexpanded() {
            for member in resource.properties.members() {
                // Events of a SAM function become resources of their own, which need the function.
                if resource.is_function() && member.key == "Events" {
                    continue;
                }
                self.walk(&member.value, scope, &mut needs);
            }
        }
        needs
    }

    fn unknown_dependency(&self, name: &str, place: &Place, scope: &Scope<'_>) {
        if scope.report.is_full() {
            scope.report.mistake(
                place,
                "DependsOn names what is no resource of this template",
            );
            return;
        }
        let mut known: Vec<&str> = self.numbers.keys().copied().collect();
        known.sort_unstable();
        known.truncate(MOST_COMPARED);
        let hint = suggestion(name, "", &known).filter(|hint| hint.starts_with("did"));
        let message = format!(
            "DependsOn names {}, which is no resource of this template",
            quoted(name)
        );
        scope.report.add(place, message, hint);
    }

    fn walk(&self, value: &Value, scope: &Scope<'_>, needs: &mut BTreeSet<usize>) {
        let argument = match call(value) {
            Some(("Ref", argument)) => {
                self.name(argument.as_text(), scope, needs);
                return;
            }
            Some(("Fn::GetAtt", argument)) => {
                let parts = argument.items().iter().map_while(Value::as_text);
                let listed: Vec<&str> = parts.collect();
                let path = argument
                    .as_text()
                    .map_or_else(|| listed.join("."), str::to_owned);
                self.name(Some(&path), scope, needs);
                Some(argument)
            }
            Some(("Fn::Sub", argument)) => {
                let text = argument
                    .as_text()
                    .or_else(|| argument.items().first()?.as_text());
                let variables = argument.items().get(1);
                for part in parts_of_sub(text.unwrap_or_default()) {
                    let length = variables.map_or(0, |variables| variables.members().len());
                    if let SubPart::Name(name) = part
                        && scope.spend(length / 8, &value.place)
                        && variables
                            .and_then(|variables| variables.member(name))
                            .is_none()
                    {
                        self.name(Some(name), scope, needs);
                    }
                }
                Some(argument)
            }
            Some(("Fn::If", argument)) => {
                if let [condition, then, otherwise] = argument.items() {
                    let name = condition.as_text().unwrap_or_default();
                    let truth = scope.truths.borrow().get(name).copied().flatten();
                    self.walk(
                        if truth == Some(false) {
                            otherwise
                        } else {
                            then
                        },
                        scope,
                        needs,
                    );
                }
                return;
            }
            _ => None,
        };
        for item in argument.unwrap_or(value).items() {
            self.walk(item, scope, needs);
        }
        for member in argument.unwrap_or(value).members() {
            self.walk(&member.value, scope, needs);
        }
    }

    /// A name, perhaps with an attribute behind it, or of what SAM makes beside a function.
    fn name(&self, name: Option<&str>, scope: &Scope<'_>, needs: &mut BTreeSet<usize>) {
        let Some(full) = name else { return };
        let alias = scope.aliases.get(full).map_or(full, String::as_str);
        let name = alias.split('.').next().unwrap_or_default();
        if scope.parameters.contains_key(name) {
            return;
        }
        let exact = self.numbers.get(name);
        let implied = || {
            ["Role", "Alias", "Version", "Url"]
                .into_iter()
                .filter_map(|part| self.numbers.get(&name[..name.rfind(part)?]))
                .find(|number| self.resources[**number].is_function())
        };
        needs.extend(exact.or_else(implied));
    }
}
