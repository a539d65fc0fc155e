"""SimulatePrincipalPolicy: what IAM would say to a principal's requests. The emulator looks at the first resource, and
at neither conditions nor boundaries.

Judged by what judges requests where AUTH=true. As IAM's API reference has it (2026): service control policies are judged
with their conditions, of whose keys `MissingContextValues` tells nothing; `EvalResourceName` of an action is a template,
and the ARNs that were asked are in `ResourceSpecificResults`, which are left out where there was one resource.
"""

import re
from xml.sax.saxutils import escape

from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id
from ministack.services import iam

from plugin.rights import allowed_by_organization

DECISIONS = {"Allow": "allowed", "Deny": "explicitDeny"}

# IAM takes no actions together that it asks for different things. It doesn't say which these are; that there are
# some is what callers must know.
APART = {"s3:CreateBucket", "s3:TagResource"}

# What IAM itself knows. Of the principal it must be told.
KNOWN = ("aws:currenttime", "aws:epochtime", "aws:resourceaccount")


def simulate(params):
    source = _one(params, "PolicySourceArn")
    found = _principal(source)
    if not found:
        return iam._error(404, "NoSuchEntity", f"The entity {escape(source)} cannot be found.", ns="iam")
    actions, resources = _list(params, "ActionNames"), _list(params, "ResourceArns") or ["*"]
    apart = [action for action in actions if action in APART]
    others = [action for action in actions if action not in APART]
    if apart and others:
        groups = " and ".join(f"[{','.join(group)}]" for group in (others, apart))
        text = f"Invalid Input Actions: {groups} require different authorization information."
        return iam._error(400, "InvalidInput", text, ns="iam")
    context = _context(params)
    members = "".join(_action(action, resources, source, found, context) for action in actions)
    result = f"<EvaluationResults>{members}</EvaluationResults><IsTruncated>false</IsTruncated>"
    return iam._xml(
        200,
        "SimulatePrincipalPolicyResponse",
        f"<SimulatePrincipalPolicyResult>{result}</SimulatePrincipalPolicyResult>",
        ns="iam",
    )


iam._IAM_HANDLERS["SimulatePrincipalPolicy"] = simulate


def _principal(arn):
    """Policies and limits of a user or a role, by its full ARN; nothing where there is none."""
    account, name = get_account_id(), arn.rsplit("/", 1)[-1]
    for kind, store, gather in (
        ("user", iam._users, iam_evaluator._gather_user_policies),
        ("role", iam._roles, iam_evaluator._gather_role_policies),
    ):
        if f":{kind}/" in arn and (store.get(name) or {}).get("Arn") == arn:
            return gather(name, account), iam_evaluator._permissions_boundary(store, name, account)
    return None


def _action(action, resources, source, found, context):
    judged = [(arn, *_judge(action, arn, source, found, context)) for arn in resources]
    allowed = all(decision == "allowed" for _, decision, _, _ in judged)
    worst = next((one for one in judged if one[1] != "allowed"), judged[0])
    organization = any(within is False for _, _, _, within in judged)
    detail = f"<AllowedByOrganizations>{str(not organization).lower()}</AllowedByOrganizations>"
    detail = f"<OrganizationsDecisionDetail>{detail}</OrganizationsDecisionDetail>" if organization else ""
    template = "arn:${Partition}:" + action.split(":")[0] + ":${Region}:${Account}:${ResourceName}"
    specific = "".join(
        f"<member><EvalResourceName>{escape(arn)}</EvalResourceName>"
        f"<EvalResourceDecision>{decision}</EvalResourceDecision>{_missing(found, context)}{boundary}</member>"
        for arn, decision, boundary, _ in judged
    )
    if len(resources) > 1:
        rest = f"<ResourceSpecificResults>{specific}</ResourceSpecificResults>"
    else:
        rest = _missing(found, context) + worst[2]
    return (
        f"<member><EvalActionName>{action}</EvalActionName><EvalResourceName>{template}</EvalResourceName>"
        f"<EvalDecision>{'allowed' if allowed else worst[1]}</EvalDecision>{detail}{rest}</member>"
    )


def _judge(action, arn, source, found, context):
    policies, limits = found
    asked = iam_evaluator.EvalContext(
        principal_arn=source,
        principal_type="User" if ":user/" in source else "AssumedRole",
        principal_account=get_account_id(),
        action=action,
        resource_arn=arn,
        region=context.get("aws:requestedregion", ""),
        source_ip=None,
        service_context=context,
    )

    def decide(*layers):
        return DECISIONS.get(iam_evaluator.evaluate(asked, *layers).decision, "implicitDeny")

    organization = allowed_by_organization(asked)
    if not limits:
        return decide(policies), "", organization
    within = str(all(decide(limit) == "allowed" for limit in limits)).lower()
    inner = f"<AllowedByPermissionsBoundary>{within}</AllowedByPermissionsBoundary>"
    boundary = f"<PermissionsBoundaryDecisionDetail>{inner}</PermissionsBoundaryDecisionDetail>"
    return decide(policies, *limits), boundary, organization


def _missing(found, context):
    """Keys that the policies name, in conditions or as variables, and of which nothing was told."""
    policies, limits = found
    named = set()
    for statement in [one for layer in (policies, *limits) for policy in layer for one in policy]:
        named.update(key for block in statement.conditions.values() for key in block)
        named.update(re.findall(r"\$\{([^}]+)\}", " ".join(statement.resources)))
    missing = sorted(key for key in named if key.lower() not in context and not key.lower().startswith(KNOWN))
    members = "".join(f"<member>{escape(key)}</member>" for key in missing)
    return f"<MissingContextValues>{members}</MissingContextValues>"


def _context(params):
    context = {}
    for number in _numbers(params, r"ContextEntries\.member\.(\d+)\.ContextKeyName"):
        entry = f"ContextEntries.member.{number}"
        values = _list(params, f"{entry}.ContextKeyValues")
        single = len(values) == 1 and not _one(params, f"{entry}.ContextKeyType").endswith("List")
        context[_one(params, f"{entry}.ContextKeyName").lower()] = values[0] if single else values
    return context


def _list(params, name):
    numbers = _numbers(params, rf"{re.escape(name)}\.member\.(\d+)")
    return [_one(params, f"{name}.member.{number}") for number in numbers]


def _numbers(params, pattern):
    matches = (re.fullmatch(pattern, key) for key in params)
    return sorted(int(match[1]) for match in matches if match)


def _one(params, key):
    value = params.get(key, "")
    return value[0] if isinstance(value, list) else value
