"""Coming in, accounts, invitations, and who did what."""

from __future__ import annotations

from homeroom.core.errors import RefusedError, UsageError
from homeroom.web.asked import Ask, File, Go, NotFound, Page, number
from homeroom.web.store import Person, TooOften
from homeroom.web.translate import LANGUAGES, translator


def enter(ask: Ask) -> Page | Go:
    """Come in by the link that the server printed; it works once."""
    if ask.session is not None:
        return Go(to="/")
    store = ask.desk.store
    first = next((p for p in store.people() if p.role == "maintainer" and not p.closed), None)
    if first is None:
        if store.look_at_link(ask.path["token"], "enter") is None:
            return _used_up(ask)
        return Page(template="welcome.html", values={"token": ask.path["token"], "wrong": ""})
    if store.use_link(ask.path["token"], "enter") is None:
        return _used_up(ask)
    store.note(first.name, "came in by the link")
    return Go(to="/", token=store.begin_session(first))


def _used_up(ask: Ask) -> Page:
    values = {"message": "this link was used already, or is too old", "where": "", "status": 403}
    hint = "Start `homeroom web` again for a new one, or log in with your password."
    return Page(template="error.html", values=values | {"hint": hint}, status=403)


def welcome(ask: Ask) -> Go:
    """Go where one comes in."""
    return Go(to="/login")


def first_account(ask: Ask) -> Page | Go:
    """Make the first account, a maintainer's."""
    store, token = ask.desk.store, ask.get("token")
    if any(not p.closed for p in store.people()) or store.look_at_link(token, "enter") is None:
        return _used_up(ask)
    try:
        person = store.add_person(ask.get("name"), role="maintainer", email=ask.get("email"), link=token)
    except UsageError as error:
        return Page(template="welcome.html", values={"token": token, "wrong": error.message}, status=400)
    except RefusedError:
        return _used_up(ask)
    store.note(person.name, "made the first account")
    return Go(to="/", token=store.begin_session(person))


def login(ask: Ask) -> Page | Go:
    """Show the form to log in."""
    if ask.person is not None:
        return Go(to=_inside(ask.query.get("next", "/")))
    has_passwords = any(p.has_password and not p.closed for p in ask.desk.store.people())
    return Page(
        template="login.html",
        values={"next": _inside(ask.query.get("next", "/")), "wrong": "", "has_passwords": has_passwords},
    )


def log_in(ask: Ask) -> Page | Go:
    """Log in with a name and a password."""
    store, to = ask.desk.store, _inside(ask.get("next", "/"))
    try:
        person = store.log_in(ask.get("name"), ask.get("password"), address=ask.address)
    except RefusedError as error:
        if not isinstance(error, TooOften):
            store.note("somebody", "could not log in", ask.get("name")[:60])
        values = {"next": to, "wrong": error.message, "has_passwords": True}
        return Page(template="login.html", values=values, status=403)
    store.note(person.name, "logged in")
    return Go(to=to, token=store.begin_session(person))


def _inside(to: str) -> str:
    """Return an address of this server, whatever was asked for."""
    good = to.startswith("/") and not to.startswith("//") and "\\" not in to and to.isprintable()
    return to if good and len(to) < 500 else "/"


def log_out(ask: Ask) -> Go:
    """Log this browser out."""
    if ask.session:
        ask.desk.store.end_session(ask.session)
    return Go(to="/login", leaves=True)


def set_language(ask: Ask) -> Go:
    """Choose the language of the pages."""
    wanted = ask.get("language")
    return Go(to=_inside(ask.get("back", "/")), language=wanted if wanted in LANGUAGES else "en")


def join(ask: Ask) -> Page:
    """Show an invitation."""
    role = ask.desk.store.look_at_link(ask.path["token"], "invite")
    if role is None:
        return _used_up(ask)
    return Page(template="join.html", values={"token": ask.path["token"], "role": role, "wrong": ""})


def joined(ask: Ask) -> Page | Go:
    """Make an account from an invitation."""
    store, token = ask.desk.store, ask.path["token"]
    role = store.look_at_link(token, "invite")
    if role is None:
        return _used_up(ask)
    try:
        if not ask.get("password"):
            raise UsageError("a password is needed")
        name, email = ask.get("name"), ask.get("email")
        person = store.add_person(name, role=role, email=email, password=ask.get("password"), link=token)
    except UsageError as error:
        values = {"token": token, "role": role, "wrong": error.message}
        return Page(template="join.html", values=values, status=400)
    except RefusedError:
        return _used_up(ask)
    store.note(person.name, f"joined as {role}")
    return Go(to="/", token=store.begin_session(person))


def health(ask: Ask) -> File:
    """Say that the server is there."""
    return File(content=b'{"status": "ok"}', kind="application/json")


def me(ask: Ask) -> Page:
    """Show one's own account."""
    return _me(ask)


def _me(ask: Ask, new_key: str = "") -> Page:
    values = {"me": ask.who, "keys": ask.desk.store.keys(ask.who), "new_key": new_key}
    return Page(template="me.html", values=values | {"courses": ask.desk.courses()}, only_page=("courses",))


def set_password(ask: Ask) -> Go:
    """Set one's own password."""
    if ask.get("password") != ask.get("again"):
        raise UsageError("the two passwords differ")
    ask.desk.store.set_password(ask.who.id, ask.get("password"), here=ask.session)
    ask.desk.store.note(ask.who.name, "set a password")
    return Go(to="/me", said=translator(ask.language)("Your password is set."))


def make_key(ask: Ask) -> Page:
    """Make a key for programs; it is shown once."""
    store, course = ask.desk.store, ask.get("course")
    if course:
        course = ask.desk.course(course).id
    key = store.make_key(ask.who, ask.get("label") or "key", course=course)
    store.note(ask.who.name, "made a key", f"{ask.get('label')} {course}".strip())
    return _me(ask, key)


def end_key(ask: Ask) -> Go:
    """Take one of one's own keys away."""
    if not ask.desk.store.end_key(ask.get("id"), person=ask.who):
        raise NotFound("there is no such key")
    ask.desk.store.note(ask.who.name, "took a key away")
    return Go(to="/me", said=translator(ask.language)("The key no longer works."))


# -- for maintainers --------------------------------------------------------------------------------------------------


def people(ask: Ask) -> Page:
    """List everybody with an account."""
    return _people(ask)


def _people(ask: Ask, link: str = "") -> Page:
    store = ask.desk.store
    return Page(template="people.html", values={"people": store.people(), "keys": store.keys(), "link": link})


def end_any_key(ask: Ask) -> Go:
    """Take anybody's key away."""
    if not ask.desk.store.end_key(ask.get("id")):
        raise NotFound("there is no such key")
    ask.desk.store.note(ask.who.name, "took somebody's key away", ask.get("id"))
    return Go(to="/people", said=translator(ask.language)("The key no longer works."))


def invite(ask: Ask) -> Page:
    """Make a link with which somebody can make an account."""
    role = "maintainer" if ask.get("role") == "maintainer" else "contributor"
    token = ask.desk.store.make_link("invite", role)
    ask.desk.store.note(ask.who.name, f"invited a {role}")
    return _people(ask, f"/join/{token}")


def _named(ask: Ask) -> Person:
    found = ask.desk.store.person(number(ask.path["person"]))
    if found is None:
        raise NotFound("there is no such person")
    return found


def set_role(ask: Ask) -> Go:
    """Make somebody a maintainer or a contributor."""
    person, role = _named(ask), "maintainer" if ask.get("role") == "maintainer" else "contributor"
    ask.desk.store.set_role(person.id, role)
    ask.desk.store.note(ask.who.name, f"made {person.name} a {role}")
    return Go(to="/people", said=translator(ask.language)("Done. It holds from now on."))


def close(ask: Ask) -> Go:
    """Close an account; its sessions end at once."""
    person = _named(ask)
    ask.desk.store.close(person.id)
    ask.desk.store.note(ask.who.name, f"closed the account of {person.name}")
    return Go(to="/people", said=translator(ask.language)("The account is closed."))


def log(ask: Ask) -> Page:
    """List who did what."""
    store = ask.desk.store
    return Page(template="log.html", values={"notes": store.notes(), "is_whole": store.is_whole()})
