//! One thing that can be asked for.

use axum::{
    extract::{Request, State},
    handler::Handler,
    middleware,
    response::Response,
    routing::{self, MethodRouter},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::{
    api::{ChangeOptions, ErrorCode, Problem},
    daemon::{
        answer::{NoQuery, Reply},
        office::{Office, Subject},
    },
};

/// Makes a type's schema.
pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

/// Who may ask for it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Role {
    Viewer,
    Editor,
    Admin,
    Settler,
}

impl Role {
    /// The role as the description tells it.
    pub(super) const fn told(self) -> &'static str {
        match self {
            Self::Viewer => "viewers",
            Self::Editor => "editors of the list and admins",
            Self::Admin => "admins",
            Self::Settler => "admins, and whoever made the pending change",
        }
    }
}

/// A request's body.
pub(super) struct Body {
    pub(super) shape: Shape,
    /// Whether an empty one will not do.
    pub(super) is_required: bool,
    /// What it may be as `text/plain` instead.
    pub(super) lines: Option<&'static str>,
}

/// One thing that can be asked for.
pub(super) struct Operation {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) id: &'static str,
    pub(super) handler: MethodRouter<Office>,
    pub(super) summary: &'static str,
    pub(super) role: Role,
    pub(super) query: Option<Shape>,
    pub(super) body: Option<Body>,
    pub(super) content_type: &'static str,
    pub(super) reply: Shape,
    /// The problems that it can meet.
    pub(super) failures: Vec<ErrorCode>,
}

/// With an answer: the operation that it is of.
#[derive(Clone, Copy)]
pub(in crate::daemon) struct Answers(pub(in crate::daemon) &'static str);

/// A handler, for what it answers with.
pub(super) trait Handles<Arguments> {
    type Reply: Reply;
}

impl<H, F, R: Reply> Handles<(State<Office>, Request)> for H
where
    H: Fn(State<Office>, Request) -> F,
    F: Future<Output = Result<R, Problem>>,
{
    type Reply = R;
}

impl<H, F, R: Reply> Handles<(State<Office>, Subject, Request)> for H
where
    H: Fn(State<Office>, Subject, Request) -> F,
    F: Future<Output = Result<R, Problem>>,
{
    type Reply = R;
}

/// Makes the constructor of a method's operations: axum has a function for each of them.
macro_rules! constructors {
    ($($method:ident)*) => {$(
        pub(super) fn $method<H, A, B>(path: &'static str, id: &'static str, handler: H) -> Self
        where
            H: Handler<A, Office> + Handles<B>,
            A: 'static,
        {
            Self::new::<H::Reply>(stringify!($method), path, id, routing::$method(handler))
        }
    )*};
}

impl Operation {
    constructors!(get put post delete);

    fn new<R: Reply>(
        method: &'static str,
        path: &'static str,
        id: &'static str,
        handler: MethodRouter<Office>,
    ) -> Self {
        let operation = Self {
            method,
            path,
            id,
            handler,
            summary: "",
            role: Role::Viewer,
            query: None,
            body: None,
            content_type: R::CONTENT_TYPE,
            reply: R::schema,
            failures: Vec::new(),
        };
        let operation = operation.fails(&[ErrorCode::Forbidden, ErrorCode::Failed]);
        if path.contains('{') { operation.fails(&[ErrorCode::Invalid]) } else { operation }
    }

    /// Where it is to be had, and what answers there and says which operation it is.
    pub(super) fn route(self) -> (&'static str, MethodRouter<Office>) {
        let answers = Answers(self.id);
        let mark = move |mut answer: Response| async move {
            answer.extensions_mut().insert(answers);
            answer
        };
        (self.path, self.handler.route_layer(middleware::map_response(mark)))
    }

    pub(super) const fn says(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    pub(super) const fn needs(mut self, role: Role) -> Self {
        self.role = role;
        self
    }

    pub(super) fn fails(mut self, codes: &[ErrorCode]) -> Self {
        self.failures.extend(codes);
        self
    }

    /// It takes the options of a change, and its body is read whether it means something or not.
    pub(super) fn changes(self, role: Role) -> Self {
        self.needs(role)
            .query::<ChangeOptions>()
            .reads()
            .fails(&[ErrorCode::RevisionConflict, ErrorCode::Pending])
    }

    pub(super) fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(T::json_schema);
        self.fails(&[ErrorCode::Invalid])
    }

    /// A query is refused, so that no option of a change is taken for one of this.
    pub(super) fn takes_no_query(self) -> Self {
        self.query::<NoQuery>()
    }

    pub(super) fn body<T: JsonSchema>(mut self) -> Self {
        let shape = SchemaGenerator::subschema_for::<T>;
        self.body = Some(Body { shape, is_required: true, lines: None });
        self.reads()
    }

    pub(super) fn optional_body<T: JsonSchema>(self) -> Self {
        let mut operation = self.body::<T>();
        operation.body = operation.body.map(|body| Body { is_required: false, ..body });
        operation
    }

    /// The body may as well be text of this form.
    pub(super) fn or_lines(mut self, lines: &'static str) -> Self {
        self.body = self.body.map(|body| Body { lines: Some(lines), ..body });
        self
    }

    fn reads(self) -> Self {
        self.fails(&[ErrorCode::Invalid, ErrorCode::Timeout, ErrorCode::TooLarge])
    }
}
