"""Names of people: common surnames by weight, given names by sex and generation, and the awkward ones.

Pools are made once and drawn from by index. The awkward ones are what registers stumble over: names with a
dot, characters outside the old code tables, and their misspellings.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from deploy.town.chance import chance

_SURNAMES = (
    "陈 60 李 58 黄 52 张 48 刘 46 邓 36 林 34 梁 30 何 30 吴 30 罗 28 曾 28 谢 28 赖 24 钟 24 朱 22 王 22 "
    "周 20 杨 20 叶 20 温 18 廖 18 邱 16 肖 16 徐 16 许 16 胡 16 郭 14 华 12 丘 10 官 8 侯 8 欧阳 6 巫 6 "
    "沈 8 聂 6 江 10 彭 10 卢 10 蓝 8 雷 8 魏 8 范 8 唐 10 冯 10 蔡 10 潘 8 苏 8 杜 6 袁 8 宋 8 董 6 "
    "余 8 戴 6 莫 6 谭 10 成 6 蒋 6 傅 6 高 6 孙 8 马 6 赵 10 郑 10 包 3 伍 4 阮 3 骆 4 甘 4 饶 5 池 3 "
    "凌 4 龚 3 涂 3 游 3 练 2 司徒 2 上官 2 仉 1 亓 1 逄 1"
)
_YAO_SURNAMES = ("盘", "赵", "邓", "邵", "冯", "李", "房", "唐")
_MEN = (
    "建国德文荣生华明金水福有才贵财发昌兴永春广坤炳松良富顺全根树林海庭亮祥运新来佛石观火土润养",
    "伟强勇军志斌辉波超鹏健杰峰涛俊锋平刚东林海春雄文华国少小炜毅宇飞威旭康",
    "子轩浩宇梓俊睿泽铭博文嘉皓航晨逸宸奕涵瑞霖楷煜沐辰翰哲思远弘一承恩景行",
)
_WOMEN = (
    "秀英兰桂玉凤珍金娇妹莲香梅菊芳春秋月清带娣群嫦琼新招连素珠银细莉花云翠",
    "丽燕玲芳敏静娟霞艳红婷萍丹琴慧洁雪莹媚娜小文春海秀君倩嘉佩淑美珊晓颖怡",
    "梓涵欣怡诗琪雨桐语嫣思彤可心佳一诺若汐芷萱妍晴钰瑶紫雯乐宁悦婉清茵沐依",
)
_DOTTED_FIRST = (
    "阿依古丽", "艾克拜尔", "阿卜杜热合曼", "古丽娜尔", "努尔兰", "迪丽拜尔", "玛依拉", "吐尔洪",
)  # fmt: skip
_DOTTED_LAST = ("买买提", "吐尔逊", "艾山", "热西提", "哈力克", "木沙", "依明", "赛买提")
_RARE = (
    "𬭎",
    "𫖯",
    "𬱖",
    "㛃",
    "㙦",
    "䶮",
    "𠮷",
    "堃",
    "喆",
    "犇",
    "骉",
    "淼",
    "燚",
    "龑",
    "赟",
    "玥",
    "翀",
    "昇",
)
"""Given-name characters that old systems lack; the first seven are beyond GB 2312 and GBK alike."""

_TRADITIONAL = str.maketrans(
    "陈张刘邓吴罗谢钟邱肖许卢谭冯苏宋余赵郑马孙华国荣贵财发昌兴广庭亮运强军辉健杰锋东伟丽凤珍莲兰云",
    "陳張劉鄧吳羅謝鍾丘蕭許盧譚馮蘇宋余趙鄭馬孫華國榮貴財發昌興廣庭亮運強軍輝健傑鋒東偉麗鳳珍蓮蘭雲",
)
_POOL = 1024


def _weighted(text: str) -> tuple[str, ...]:
    words = text.split()
    return tuple(
        name for name, weight in zip(words[::2], words[1::2], strict=True) for _ in range(int(weight))
    )


def _given(characters: str, random: Random) -> tuple[str, ...]:
    known = list(characters)
    return tuple(
        random.choice(known) if random.random() < 0.18 else "".join(random.sample(known, 2))
        for _ in range(_POOL)
    )


_making = chance("names")
SURNAMES = _weighted(_SURNAMES)
_GIVEN = {
    (male, generation): _given(texts[generation], _making)
    for male, texts in ((True, _MEN), (False, _WOMEN))
    for generation in range(3)
}

HAN, YAO = "01", "13"
_MINORITIES = ("13", "22", "08", "06", "15", "11", "03", "12")
"""瑶 畲 壮 苗 土家 满 回 侗 (GB/T 3304)."""
UYGUR = "05"

ETHNICITY_NAMES = {
    "01": "汉", "03": "回", "05": "维吾尔", "06": "苗", "08": "壮", "11": "满", "12": "侗", "13": "瑶",
    "15": "土家", "22": "畲",
}  # fmt: skip


def surname(random: Random, clan: Sequence[str]) -> str:
    """A surname: in a village, every second one is of its clans."""
    draw = random.random()
    if clan and draw < 0.5:
        return clan[int(draw * 2 * len(clan))]
    return SURNAMES[int(random.random() * len(SURNAMES))]


def clans(random: Random, *, yao: bool) -> tuple[str, ...]:
    """The surnames that a village is full of."""
    pool: Sequence[str] = _YAO_SURNAMES if yao else SURNAMES
    return tuple(pool[int(random.random() * len(pool))] for _ in range(3))


def given(random: Random, male: bool, born_year: int) -> str:
    """A given name of the generation; one in 300 with a rare character."""
    generation = 0 if born_year < 1968 else 1 if born_year < 2000 else 2
    draw = random.random()
    name = _GIVEN[male, generation][int(draw * _POOL)]
    if draw * _POOL % 1 < 0.0033:
        return name[:-1] + _RARE[int(random.random() * len(_RARE))]
    return name


def dotted(random: Random) -> str:
    """A name of two parts with the middle dot U+00B7, as the ID card prints it."""
    first = _DOTTED_FIRST[int(random.random() * len(_DOTTED_FIRST))]
    return f"{first}·{_DOTTED_LAST[int(random.random() * len(_DOTTED_LAST))]}"


def ethnicity(random: Random, yao_share: float) -> str:
    """A GB/T 3304 code: mostly Han, in Yao country more Yao."""
    draw = random.random()
    if draw < yao_share:
        return YAO
    if draw < yao_share + 0.012:
        return _MINORITIES[int(random.random() * len(_MINORITIES))]
    return UYGUR if draw > 0.9993 else HAN


def misspelt(random: Random, name: str) -> str:
    """The name as an older system of another department keeps it: another dot, a lost or an old character."""
    if "·" in name:
        return name.replace("·", ("•", "・", ".", "")[int(random.random() * 4)])
    if any(character in name for character in _RARE[:7]):
        return "".join("?" if character in _RARE[:7] else character for character in name)
    return name.translate(_TRADITIONAL)


def is_awkward(name: str) -> bool:
    """Whether departments are likely to write it differently."""
    return "·" in name or any(character in name for character in _RARE[:7])
