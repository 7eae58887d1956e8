"""What is said of sealed documents, in plain sentences in Chinese and in English. Pure rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from services.eseal.verifying.standing import Revocation

CHINA = timezone(timedelta(hours=8))
_PROOFS = {
    "timestamp": ("由时间戳证明", "proved by a timestamp"),
    "record": ("由本系统签章记录证明", "borne out by our own record"),
    "claim": ("仅为签章人自述", "the signer's word alone"),
}
_REVOCATIONS = {
    Revocation.GOOD: ("证书未被吊销", "its certificate has not been revoked"),
    Revocation.REVOKED: ("证书已被吊销", "its certificate has been revoked"),
    Revocation.REVOKED_SINCE: (
        "证书在加盖之后才被吊销",
        "its certificate was revoked, but only after the seal was put",
    ),
    Revocation.UNKNOWN: ("证书吊销状态未知", "whether its certificate was revoked is not known"),
}

_GOOD_BY_FILE = (
    "据文件自带数据，证书当时未被吊销，此后未知",
    "by the data kept in the file its certificate had not been revoked then; of the time since nobody says",
)

UNREAD = (
    "签名无法读取或其形式不在核验之列，不能证明任何事项",
    "its signature cannot be read, or is of a form that is not checked: it proves nothing",
)
MODIFICATIONS = {
    "none": ("之后无改动", "nothing came after it"),
    "ltv_updates": ("之后仅增添验证数据", "only data for its validation came after it"),
    "form_filling": ("之后另有印章或填写", "further seals or entries came after it"),
    "annotations": ("之后增添批注", "annotations came after it"),
    "other": ("之后内容有改动", "content was changed after it"),
}


def sentence_on(
    name: str,
    *,
    moment: datetime | None,
    proof: str,
    revocation: Revocation,
    of_file: bool = False,
    level: str,
    modification: str,
    faults: Sequence[tuple[str, str]],
) -> tuple[str, str]:
    """What is said of one seal: who, when and by whose word, what became of it, what speaks against it.

    `moment` is told in China's time; `of_file` says that only the file's data speak of revocation; `level`
    such as `B-LT`, empty where it has none.
    """
    said_by, changed, became = _PROOFS[proof], MODIFICATIONS[modification], _REVOCATIONS[revocation]
    if of_file and revocation is Revocation.GOOD:
        became = _GOOD_BY_FILE
    local = moment.astimezone(CHINA) if moment else None
    zh_time = f"{local:%Y年%m月%d日%H:%M:%S}" if local else "时间未标明"
    en_time = f"{local:%Y-%m-%d %H:%M:%S} (UTC+8)" if local else "no time said"
    at_level = f"，{level}级" if level else "", f", level {level}" if level else ""
    zh = f"{name}：{zh_time}（{said_by[0]}）{at_level[0]}；{changed[0]}；{became[0]}；"
    en = f"{name}: {en_time} ({said_by[1]}){at_level[1]}; {changed[1]}; {became[1]}; "
    if not faults:
        return zh + "有效。", en + "valid."
    return (
        zh + "无效：" + "、".join(fault[0] for fault in faults) + "。",
        en + "not valid: " + ", ".join(fault[1] for fault in faults) + ".",
    )


_STATES = {
    "in_force": ("印章现行有效", "the seal is in force"),
    "suspended": ("印章现已停用", "the seal is suspended now"),
    "revoked": ("印章现已作废", "the seal has been revoked"),
    "expired": ("印章现已过期", "the seal has expired"),
    "destroyed": ("印章现已销毁", "the seal has been destroyed"),
}


def sentence_on_number(name: str, moment: datetime, state: str) -> tuple[str, str]:
    """What is said of a document by its number alone: which seal was put when, and how the seal stands."""
    local = moment.astimezone(CHINA)
    zh, en = _STATES.get(state, ("印章不可用", "the seal cannot be used"))
    return (
        f"本编号的文书于{local:%Y年%m月%d日%H:%M:%S}加盖“{name}”；{zh}。请核对文书内容，或上传文件验章。",
        f"A document of this number was sealed with {name} at {local:%Y-%m-%d %H:%M:%S} (UTC+8); {en}."
        " Whether a file is that document, checking the file says.",
    )
