"""What each method means, in plain words, for the people whom its entries are about. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """One sentence's worth, in Chinese and in English."""

    zh: str
    en: str


METHODS: Mapping[str, Words] = {
    "licence.search": Words("查找您有哪些电子证照", "looked up which e-licences you have"),
    "licence.get": Words("查看了您的一份电子证照", "read one of your e-licences"),
    "licence.verify": Words(
        "核验了您的一份电子证照的真伪", "checked whether one of your e-licences is genuine"
    ),
    "autofill.fill": Words(
        "用政府已有数据为您预填表单", "filled a form for you from data the government holds"
    ),
    "autofill.verify": Words(
        "核对表单内容与登记信息是否一致（不返回登记内容）",
        "checked typed values against the registers, without seeing what they hold",
    ),
    "eseal.sign": Words("在文件上加盖了电子印章", "put an electronic seal on a document"),
    "eseal.verify": Words("核验了一份盖章文件", "checked a sealed document"),
    "eseal.remote_enrol": Words(
        "为您所在企业启用了远程签名凭证", "took a credential for remote signing into use for your company"
    ),
    "eseal.remote_change": Words(
        "更换了远程签名凭证的验证因素", "changed the factors of a credential for remote signing"
    ),
    "eseal.remote_authorise": Words("授权了远程签名", "authorised remote signatures"),
    "eseal.remote_sign_hashes": Words("对文件摘要作了远程签名", "signed digests of documents remotely"),
    "eseal.remote_sign_documents": Words("对文件作了远程签名", "signed documents remotely"),
    "consent.request": Words("向您提出数据授权请求", "asked you for a consent"),
    "consent.look": Words("查看其授权请求的状态", "looked at the state of its consent request"),
    "consent.list": Words("您查看了自己的授权请求", "you looked at your consent requests"),
    "consent.grant": Words("您同意了授权", "you granted a consent"),
    "consent.revoke": Words("您撤回了授权", "you revoked a consent"),
    "credit.land_rights": Words(
        "凭您的授权查询了您的土地承包经营权信息", "fetched your land rights under your consent"
    ),
    "credit.subsidies": Words(
        "凭您的授权查询了您的耕地地力保护补贴信息", "fetched your farmland subsidies under your consent"
    ),
    "ledger.disclosures": Words("您查看了自己的数据使用记录", "you looked at who used your data"),
}
"""Every method that a part appends entries under; a test holds the list to the code."""

_OTHER_READ = Words("读取了与您有关的数据", "read data about you")
_OTHER_ACT = Words("办理了与您有关的事项", "did something that concerns you")


def words_of(method: str, *, act: bool) -> Words:
    """What a method means; the general words for one that a newer part brings with it."""
    return METHODS.get(method, _OTHER_ACT if act else _OTHER_READ)
