"""IAM: what AWS refuses and the emulator takes, and what its lists don't tell.

A deployer that looks for its roles by the tags in ListRoles would find none on AWS.
"""

import json
import re

from ministack.services import iam

from plugin.patching import around

# "IAM and AWS STS quotas": characters without white space, and managed policies of one role.
MANAGED_POLICY, ROLE_POLICIES, TRUST_POLICY, ATTACHED = 6144, 10240, 2048, 10


@around(iam, "_role_xml")
def role_xml(render, name, boundary=True):
    """`boundary=False` is how the emulator marks the short form of a role, which ListRoles alone asks for."""
    xml = render(name, boundary).replace("<Description></Description>", "")
    return xml if boundary else re.sub(r"<Tags>.*?</Tags>", "", xml, flags=re.DOTALL)


def _refuse(code, message, status=400):
    return iam._error(status, code, message, ns="iam")


def _length(document):
    return len(re.sub(r"\s", "", document))


def _too_large(document):
    if _length(document) > MANAGED_POLICY:
        return _refuse("LimitExceeded", f"Cannot exceed quota for PolicySize: {MANAGED_POLICY}", 409)
    return None


def _limit_policy_size(create, p):
    return _too_large(iam._p(p, "PolicyDocument")) or create(p)


def _delete_policy(delete, p):
    """"You must first ... delete all versions of a policy" (DeletePolicy)."""
    policy = iam._policies.get(iam._p(p, "PolicyArn"))
    if policy and len(policy["Versions"]) > 1:
        message = "This policy has more than one version. Before you delete a policy, you must delete the policy's versions."
        return _refuse("DeleteConflict", message, 409)
    return delete(p)


def _put_role_policy(put, p):
    role = iam._roles.get(iam._p(p, "RoleName"))
    if role:
        others = [text for name, text in role["InlinePolicies"].items() if name != iam._p(p, "PolicyName")]
        if sum(map(_length, [*others, iam._p(p, "PolicyDocument")])) > ROLE_POLICIES:
            message = f"Maximum policy size of {ROLE_POLICIES} bytes exceeded for role {role['RoleName']}"
            return _refuse("LimitExceeded", message, 409)
    return put(p)


def _attach_role_policy(attach, p):
    role, arn = iam._roles.get(iam._p(p, "RoleName")), iam._p(p, "PolicyArn")
    if role and not iam._policy_exists(arn):
        return _refuse("NoSuchEntity", f"Policy {arn} does not exist or is not attachable.", 404)
    if role and arn not in role["AttachedPolicies"] and len(role["AttachedPolicies"]) >= ATTACHED:
        return _refuse("LimitExceeded", f"Cannot exceed quota for PoliciesPerRole: {ATTACHED}", 409)
    return attach(p)


def _trust_problem(text):
    """What a role's trust policy must be: "IAM JSON policy elements" and "Role trust policies" of the IAM User Guide.
    """
    try:
        document = json.loads(text)
    except ValueError:
        return "This policy contains invalid Json"
    statements = document.get("Statement") if isinstance(document, dict) else None
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not statements or not all(isinstance(one, dict) for one in statements):
        return "Syntax errors in policy."
    if document.get("Version", "2008-10-17") not in ("2008-10-17", "2012-10-17"):
        return "The policy must contain a valid version string"
    for statement in statements:
        if statement.get("Effect") not in ("Allow", "Deny"):
            return "Syntax errors in policy."
        for field in ("Resource", "NotResource"):
            if field in statement:
                return f"Has prohibited field {field}"
        if "Principal" not in statement and "NotPrincipal" not in statement:
            return "Missing required field Principal"
        problem = _principal_problem(statement.get("Principal", "*")) or _action_problem(statement.get("Action"))
        if problem:
            return problem
    return None


def _principal_problem(principal):
    kinds = ("AWS", "Service", "Federated", "CanonicalUser")
    if principal == "*" or (isinstance(principal, dict) and principal and all(kind in kinds for kind in principal)):
        return None
    return "Syntax errors in policy."


def _action_problem(actions):
    if not actions:
        return "Missing required field Action"
    actions = [actions] if isinstance(actions, str) else actions
    if all(isinstance(action, str) and action.startswith("sts:") for action in actions):
        return None
    return "AssumeRole policy may only specify STS AssumeRole actions."


def _create_role(create, p):
    return _trusted(iam._p(p, "AssumeRolePolicyDocument")) or create(p)


def _update_assume_role_policy(update, p):
    known = iam._p(p, "RoleName") in iam._roles
    return (_trusted(iam._p(p, "PolicyDocument")) if known else None) or update(p)


def _trusted(document):
    if _length(document) > TRUST_POLICY:
        return _refuse("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY}", 409)
    problem = _trust_problem(document)
    return _refuse("MalformedPolicyDocument", problem) if problem else None


def _get_role(get, p):
    """When it was last used, which is empty for one that never was (RoleLastUsed, in IAM's API reference)."""
    status, headers, body = get(p)
    return status, headers, body.replace(b"</Role></GetRoleResult>", b"<RoleLastUsed/></Role></GetRoleResult>")


def _place(operation, function):
    handler = iam._IAM_HANDLERS[operation]
    iam._IAM_HANDLERS[operation] = lambda p: function(handler, p)


_place("CreatePolicy", _limit_policy_size)
_place("CreatePolicyVersion", _limit_policy_size)
_place("DeletePolicy", _delete_policy)
_place("PutRolePolicy", _put_role_policy)
_place("AttachRolePolicy", _attach_role_policy)
_place("CreateRole", _create_role)
_place("UpdateAssumeRolePolicy", _update_assume_role_policy)
_place("GetRole", _get_role)
