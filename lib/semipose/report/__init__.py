"""The report of one run or several: a single HTML file.

records, settings     what run folders say by themselves
looking               networks on the data, where that is at hand
errors, suspects      analysis of plain arrays
charts, panels, pool  pictures
sections, page        HTML; `write.write_report` puts all together
"""
