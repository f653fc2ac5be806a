// Files that the assembler puts into the program.
#include "page_files.hpp"

// Symbols before and behind the bytes of a file.
#define CULVERT_EMBED(name, file)                                                \
  asm(".pushsection .rodata\n"                                                   \
      ".global culvert_page_" #name "\nculvert_page_" #name ":\n.incbin \"" file \
      "\"\n"                                                                     \
      ".global culvert_page_" #name "_end\nculvert_page_" #name                  \
      "_end:\n"                                                                  \
      ".byte 0\n.popsection\n");                                                 \
  extern "C" const char culvert_page_##name[];                                   \
  extern "C" const char culvert_page_##name##_end[]

CULVERT_EMBED(html, CULVERT_PAGE_FOLDER "/page.html");
CULVERT_EMBED(css, CULVERT_PAGE_FOLDER "/page.css");
CULVERT_EMBED(script, CULVERT_PAGE_FOLDER "/page.js");
CULVERT_EMBED(chart_license, CULVERT_PAGE_FOLDER "/chart_license.txt");
CULVERT_EMBED(chart, CULVERT_CHART_JS);

namespace culvert {

PageFiles page_files() {
  return {{culvert_page_html, culvert_page_html_end},
          {culvert_page_css, culvert_page_css_end},
          {culvert_page_script, culvert_page_script_end},
          {culvert_page_chart, culvert_page_chart_end},
          {culvert_page_chart_license, culvert_page_chart_license_end}};
}

}  // namespace culvert
