//! The files of the page: they are in this program, and need nothing from elsewhere.

use crate::answer::Answer;

/// The file of this path.
pub(crate) fn file(path: &str) -> Option<Answer> {
    Some(match path {
        "" => Answer::file("text/html; charset=utf-8", include_str!("../page/index.html")),
        "page.css" => Answer::file("text/css; charset=utf-8", include_str!("../page/page.css")),
        "page.js" => {
            Answer::file("text/javascript; charset=utf-8", include_str!("../page/page.js"))
        }
        "view.js" => {
            Answer::file("text/javascript; charset=utf-8", include_str!("../page/view.js"))
        }
        _ => return None,
    })
}
