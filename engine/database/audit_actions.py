"""All actions that the audit knows, `<domain>.<verb>`, and what each means. `record` refuses any other."""

from __future__ import annotations

ACTIONS = {
    # the audit itself and the server
    "audit.start": "the chain begins; details seal the rows from before it",
    "audit.verify": "somebody checked the whole audit",
    "audit.export": "somebody took audit rows out",
    "audit.retain": "old rows were removed; details hold the last hash and the count of what went",
    "system.start": "a server started, with this version and these settings",
    "system.stop": "a server stopped in order",
    "config.change": "a setting that admins may change was changed",
    # people
    "auth.login": "somebody signed in, or tried to",
    "auth.logout": "somebody signed out",
    "auth.lock": "an account or an address was locked after wrong passwords",
    "auth.unlock": "a lock was lifted",
    "auth.second_factor": "a second factor was asked for at sign-in",
    "session.revoke": "a sign-in was ended by another",
    "user.create": "a user was added",
    "user.invite": "somebody was invited",
    "user.accept": "an invitation was accepted",
    "user.role": "a user got another role",
    "user.disable": "a user may no longer sign in",
    "user.enable": "a user may sign in again",
    "user.delete": "a user was removed",
    "user.password": "a user changed the own password",
    "user.reset": "a password was reset for somebody",
    "user.second_factor": "a second factor was set up or removed",
    "user.import": "users were added from a file",
    "user.view_as": "an admin looked at the workbench as another user",
    "group.create": "a group was made",
    "group.delete": "a group was removed",
    "group.rename": "a group was given another name",
    "group.members": "somebody joined or left a group",
    "api_key.create": "an API key was made",
    "api_key.revoke": "an API key was withdrawn",
    "api_key.first_use": "an API key was used for the first time",
    "token.revoke": "a token was taken back before its end",
    "token.issue": "a token for the API was issued",
    "permission.denied": "somebody tried what is not allowed",
    "rate.limited": "somebody was slowed down",
    # documents and answers
    "collection.create": "a collection was made",
    "collection.delete": "a collection was removed for good",
    "collection.grant": "a right on a collection was given or taken",
    "collection.store.move": "vectors of a collection moved to another store",
    "collection.store.revert": "a collection went back to its former store",
    "document.upload": "a file was taken",
    "document.live": "a version of a document answers questions from now on",
    "document.fail": "a file could not be processed",
    "document.view": "somebody looked at a document",
    "document.fetch": "a document was fetched from elsewhere",
    "document.download": "somebody took the original file",
    "document.delete": "a document was taken out of every answer",
    "document.restore": "a deletion was undone",
    "document.reprocess": "a document was queued again",
    "document.purge": "a deleted document was removed for good",
    "chunk.quarantine": "a passage was kept out of answers",
    "chunk.release": "a passage was let into answers again",
    "upload.refused": "a file was not taken",
    "conversation.delete": "a conversation was removed with its messages",
    "question.ask": "a question was answered, refused, or failed; details name the passages used",
    # models and stores
    "provider.add": "a provider was added",
    "provider.edit": "a provider was changed",
    "provider.remove": "a provider was removed",
    "provider.test": "a provider was tried",
    "providers.choose": "which provider does which job was changed",
    "price.set": "a price was set",
    "egress.refused": "a connection to an address outside of the allowed ones was refused",
    # operations
    "breaker.open": "a dependency failed too often, or was too slow: it is left alone for a while",
    "breaker.probe": "a few calls find out whether a dependency works again",
    "breaker.close": "a dependency works again",
    "breaker.trip": "an operator took a dependency out of use at once",
    "breaker.drain": "an operator took a dependency out of use; what ran could end",
    "breaker.hold": "an operator keeps a dependency in use whatever its failures",
    "breaker.reset": "an operator gave a dependency back to its breaker",
    "alert.fire": "a rule's condition came true",
    "alert.resolve": "a rule's condition is over",
    "alert.acknowledge": "somebody looks after an alert",
    "alert.silence": "a rule was silenced for a while, or let speak again",
    "alert.rule": "an alert rule was made, changed or removed",
    "alert.channel": "a receiver of alerts was made, changed, tried or removed",
    "cache.clear": "kept answers and vectors were thrown away",
    "support.bundle": "somebody took a support bundle",
}

_TYPES = {"auth": "user", "providers": "job", "question": "message"}


def type_of(action: str) -> str:
    """Return what the object of an action is, where the action does not say otherwise: its domain, mostly."""
    domain = action.partition(".")[0]
    return _TYPES.get(domain, domain)
