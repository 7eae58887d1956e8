"""The text that a farmer is shown before she consents: all that PIPL articles 17, 23 and 30 ask for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

from services.agricredit.domain import Agreement, Item, Partner

CITY_TIME = timezone(timedelta(hours=8))

KINDS = {
    Item.LAND_RIGHTS: (
        "土地承包经营权信息：权证编号和承包合同编号、承包期限、取得方式、权利状态、承包总面积、流转面积、是否抵押、"
        "是否有争议；各地块的编码、名称、合同面积和实测面积、土地利用类型、地力等级、是否永久基本农田"
    ),
    Item.SUBSIDIES: "耕地地力保护补贴信息：各年度的补贴面积、补贴金额、发放状态、发放日期",
}
"""Each kind of data in full; what is not named here is not shared."""


def consent_text(
    partner: Partner,
    agreement: Agreement,
    items: Iterable[Item],
    *,
    max_uses: int,
    requested_at: datetime,
    valid_until: datetime,
) -> str:
    """The text of one request, in Chinese; lines end with a line feed.

    It names nobody but the partner, so that it may be kept and shown as it is.
    """
    kinds = "\n".join(f"（{number}）{KINDS[item]}。" for number, item in enumerate(items, start=1))
    return f"""个人信息单独授权书

一、接收方
名称：{partner.name}。联系方式：{partner.contact}。

二、处理目的
{agreement.purpose_text}。接收方不得用于其他目的；目的、方式或者信息种类变更的，须重新取得您的同意。

三、提供的个人信息种类
{kinds}
不提供您的家庭成员的任何信息。以上信息涉及您的土地权益和补贴收入，属于办理上述事项所必需；提供后，接收方将据此作出是否办理的判断。

四、处理方式
本市政务数据节点根据本授权从主管部门的登记信息中查询，经签名和加密后在线提供给接收方；接收方以核验、评估的方式使用。每次提供均先写入不可篡改的存证记录，您有权查阅。

五、次数和期限
自您同意之时起至{_minute(valid_until)}止，最多提供{max_uses}次。

六、保存期限
{agreement.keeping}。期限届满后，接收方应当删除或者匿名化处理。

七、您的权利
您可以只勾选其中一部分信息，也可以不同意；不同意不影响您办理其他政务服务。您可以随时在本平台撤回授权，撤回立即生效，此后不再提供；撤回不影响撤回前已经进行的提供。您可以向本平台或者接收方查阅、复制、更正、删除您的个人信息，也可以要求接收方对自动化决策的结果予以说明。

申请时间：{_minute(requested_at)}
"""


def text_digest(text: str) -> str:
    """SHA-256 of the text's UTF-8 bytes, lower-case hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _minute(moment: datetime) -> str:
    """An instant in the city's time, to the minute."""
    return moment.astimezone(CITY_TIME).strftime("%Y年%m月%d日%H时%M分")
