"""Statement, passage, whether the passage carries the whole statement. Written for this project.

DEVELOPMENT was used to set the thresholds of `engine.generation.grounding`, HELD_OUT only to measure them.
"""

from __future__ import annotations

SALES = (
    "Meridian Foods reported net sales of $1,234.5 million in fiscal 2018, "
    "compared with $1,180.2 million in fiscal 2017. "
    "Operating income rose by 8% to $96 million. The company did not pay a dividend in 2018. "
    "Its headquarters moved from Leeds to Bristol in March 2018."
)
PUMP = (
    "The pump must be switched off before the filter is removed. Replace the filter every 500 hours of operation. "
    "Do not use solvents to clean the housing. The warranty covers defects in material for two years and excludes normal wear."
)
TREATY = (
    "The treaty was signed in Utrecht on 11 April 1713 by France and Great Britain. Spain ceded Gibraltar to Great Britain. "
    "Although the Dutch delegates hesitated, they accepted the terms. The war had lasted thirteen years."
)
CELL = (
    "Mitochondria produce most of the chemical energy of a cell. "
    "They contain their own DNA, which is inherited from the mother. "
    "Red blood cells of mammals lack mitochondria. The number of mitochondria in a cell varies widely between tissues."
)
MERGER = (
    "In 2016, Halden Bank acquired Norvik Insurance for 3.2 billion kroner. "
    "The regulator approved the deal without conditions. "
    "Ingrid Solberg, who had led Norvik since 2009, became deputy chief executive of the merged group."
)

DEVELOPMENT: list[tuple[str, str, bool]] = [
    ("Net sales were $1234.5 million in fiscal 2018.", SALES, True),
    ("Net sales were $1,324.5 million in fiscal 2018.", SALES, False),
    ("Operating income rose by 8% to $96 million.", SALES, True),
    ("Operating income fell by 8% to $96 million.", SALES, False),
    ("The company paid a dividend in 2018.", SALES, False),
    ("The company paid no dividend in 2018.", SALES, True),
    ("Meridian Foods moved its headquarters to Bristol.", SALES, True),
    ("Meridian Foods moved its headquarters to Manchester.", SALES, False),
    ("Operating income rose by 8% to $96 million and the workforce doubled.", SALES, False),
    ("The company plans to open ten new stores.", SALES, False),
    ("Switch off the pump before you remove the filter.", PUMP, True),
    ("Switch off the pump after you remove the filter.", PUMP, False),
    ("The filter has to be replaced every 500 hours.", PUMP, True),
    ("The filter has to be replaced every 50 hours.", PUMP, False),
    ("Solvents should be used to clean the housing.", PUMP, False),
    ("Solvents must not be used to clean the housing.", PUMP, True),
    ("The warranty includes normal wear.", PUMP, False),
    ("The warranty excludes normal wear.", PUMP, True),
    ("The warranty lasts two years and covers shipping costs.", PUMP, False),
    ("The treaty was signed on 11 April 1713 in Utrecht.", TREATY, True),
    ("The treaty was signed on 11 April 1731 in Utrecht.", TREATY, False),
    ("Gibraltar was ceded to Great Britain by Spain.", TREATY, True),
    ("Gibraltar was ceded to Portugal by Spain.", TREATY, False),
    ("The Dutch delegates rejected the terms.", TREATY, False),
    ("The Dutch delegates accepted the terms.", TREATY, True),
    ("The war lasted 13 years.", TREATY, True),
    ("The war lasted thirty years.", TREATY, False),
    ("France paid for the war with new taxes.", TREATY, False),
    ("Most of a cell's chemical energy is produced by mitochondria.", CELL, True),
    ("Mitochondria are found in the red blood cells of mammals.", CELL, False),
    ("Halden Bank acquired Norvik Insurance in 2016.", MERGER, True),
    ("Norvik Insurance acquired Halden Bank in 2016.", MERGER, False),
    ("Mitochondrial DNA is inherited from the mother.", CELL, True),
    ("Mitochondrial DNA is inherited from the father.", CELL, False),
    ("Red blood cells of mammals have no mitochondria.", CELL, True),
    ("The number of mitochondria is the same in all tissues.", CELL, False),
    ("The number of mitochondria varies between tissues.", CELL, True),
    ("Mitochondria contain their own DNA and divide every 20 minutes.", CELL, False),
    ("Mitochondria were discovered by Albert von Kölliker.", CELL, False),
    ("Halden Bank paid 3.2 billion kroner for Norvik Insurance.", MERGER, True),
    ("Halden Bank paid 2.3 billion kroner for Norvik Insurance.", MERGER, False),
    ("The regulator approved the deal with conditions.", MERGER, False),
    ("The regulator approved the deal without conditions.", MERGER, True),
    ("The regulator did not approve the deal.", MERGER, False),
    ("Ingrid Solberg became deputy chief executive of the merged group.", MERGER, True),
    ("Ingrid Solberg became chief financial officer of the merged group.", MERGER, False),
    ("Ingrid Solberg had led Norvik since 2009.", MERGER, True),
    ("Ingrid Solberg had led Halden since 2009.", MERGER, False),
    ("Anna Solberg became deputy chief executive of the merged group.", MERGER, False),
    ("In fiscal 2017, net sales amounted to $1,180.2 million.", SALES, True),
    ("In fiscal 2016, net sales amounted to $1,180.2 million.", SALES, False),
    ("Net sales were $1,180.2 million in fiscal 2018.", SALES, False),
    ("The headquarters moved from Bristol to Leeds.", SALES, False),
    ("The headquarters moved from Leeds to Bristol in March 2018.", SALES, True),
    ("Operating profit went up 8% to $96 million.", SALES, True),
    ("The dividend was raised to 12 cents a share.", SALES, False),
    ("Defects in material are covered for two years.", PUMP, True),
    ("Defects in material are covered for three years.", PUMP, False),
    ("Clean the housing with solvents every 500 hours.", PUMP, False),
    ("The pump can stay on while the filter is removed.", PUMP, False),
    ("France and Great Britain signed the treaty in Utrecht.", TREATY, True),
    ("France and Spain signed the treaty in Vienna.", TREATY, False),
    ("Spain kept Gibraltar.", TREATY, False),
    ("The Dutch delegates did not accept the terms.", TREATY, False),
    ("Great Britain received Gibraltar from Spain.", TREATY, True),
    ("After thirteen years the war ended, and a famine followed.", TREATY, False),
]

BRIDGE = (
    "The Arvel Bridge opened in June 1932 after four years of construction. It is 1,149 metres long and carries eight lanes. "
    "Engineer Tomas Reyl designed the arch, while the towers were drawn by Lena Moor. "
    "Cyclists may use the western side; pedestrians may not. Tolls were abolished in 1988."
)
LEASE = (
    "The tenant shall pay the rent of 2,400 euros by the third working day of each month. Either party may terminate the lease "
    "with three months' notice. Subletting requires the written consent of the landlord. Pets are not permitted, "
    "except for assistance dogs. The deposit equals two months' rent and is returned within 30 days."
)
HELD_OUT: list[tuple[str, str, bool]] = [
    ("The Arvel Bridge was opened in June 1932.", BRIDGE, True),
    ("The Arvel Bridge was opened in July 1932.", BRIDGE, False),
    ("Construction of the bridge took four years.", BRIDGE, True),
    ("Construction of the bridge took five years.", BRIDGE, False),
    ("The bridge has eight lanes and a length of 1149 metres.", BRIDGE, True),
    ("The bridge has six lanes and a length of 1149 metres.", BRIDGE, False),
    ("Tomas Reyl designed the arch.", BRIDGE, True),
    ("Tomas Reyl designed the towers.", BRIDGE, False),
    ("Lena Moor designed the arch.", BRIDGE, False),
    ("The towers were drawn by Lena Moor.", BRIDGE, True),
    ("Pedestrians may use the western side.", BRIDGE, False),
    ("Cyclists may use the western side.", BRIDGE, True),
    ("Cyclists may use the eastern side.", BRIDGE, False),
    ("Tolls were introduced in 1988.", BRIDGE, False),
    ("Since 1988 there have been no tolls.", BRIDGE, True),
    ("Tolls were abolished in 1988.", BRIDGE, True),
    ("The rent is 2,400 euros.", LEASE, True),
    ("The rent is 4,200 euros.", LEASE, False),
    ("The landlord shall pay the rent by the third working day of each month.", LEASE, False),
    ("The lease can be terminated with three months' notice by either party.", LEASE, True),
    ("The lease can be terminated with two months' notice by either party.", LEASE, False),
    ("Subletting needs the landlord's written consent.", LEASE, True),
    ("Subletting does not need the landlord's written consent.", LEASE, False),
    ("Pets are permitted.", LEASE, False),
    ("Pets are not permitted.", LEASE, True),
    ("The deposit is returned within 30 days.", LEASE, True),
    ("The deposit is returned within 30 days with interest.", LEASE, False),
    ("The deposit equals three months' rent.", LEASE, False),
    ("The tenant must insure the flat against fire.", LEASE, False),
    ("Assistance dogs are forbidden.", LEASE, False),
]
